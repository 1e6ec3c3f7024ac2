// y[i] = f(x[i]), with f chosen by the header constant OP among the names below.
//
// x, y: n values, contiguous. One thread computes four neighbouring values; 64 threads a workgroup; workgroups are
// counted along x, then y. p0 and p1 are the operation's scalars (exponent, or clamp bounds).
//@include "common/math.wgsl"

struct Params { n: u32, p0: f32, p1: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

const NEG = 0; const ABS = 1; const SQUARE = 2; const SQRT = 3; const RSQRT = 4; const EXP = 5; const LOG = 6;
const TANH = 7; const SIGMOID = 8; const RELU = 9; const SILU = 10; const GELU = 11; const GELU_TANH = 12;
const CLAMP = 13; const POW = 14; const SCALE = 15; const SHIFT = 16; const DIVIDE = 17; const SOFTPLUS = 18;

fn apply(v: vec4f) -> vec4f {
  switch OP {
    case NEG: { return -v; }
    case ABS: { return abs(v); }
    case SQUARE: { return v * v; }
    case SQRT: { return sqrt(v); }
    case RSQRT: { return inverseSqrt(v); }
    case EXP: { return exp_(v); }
    case LOG: { return log_(v); }
    case TANH: { return tanh_(v); }
    case SIGMOID: { return sigmoid_(v); }
    case RELU: { return max(v, vec4f(0)); }
    case SILU: { return v * sigmoid_(v); }
    case GELU: { return gelu_and_slope_(v).value; }
    case GELU_TANH: { return v * sigmoid_(2.0 * gelu_tanh_inner(v)); }
    case CLAMP: { return clamp(v, vec4f(params.p0), vec4f(params.p1)); }
    case POW: { return pow_(v, vec4f(params.p0)); }
    case SCALE: { return v * params.p0; }
    case SHIFT: { return v + params.p0; }
    case DIVIDE: { return v / params.p0; }
    case SOFTPLUS: { return max(v, vec4f(0)) + log1p_unit(exp_(-abs(v))); }
    default: { return v; }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64;
  if (i * 4 < params.n) { y[i] = apply(x[i]); }
}
