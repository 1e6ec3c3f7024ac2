// z = f(a, b) with f chosen by the header constant OP among the names below; names ending in _GRADIENT take a saved
// input or output as a and the incoming gradient as b.
//
// main:      a, b, z: n values, contiguous; one thread computes four neighbours.
// broadcast: z has up to four axes `extents` (outermost first, one that is unused is 1); a and b are read with the
//            strides given, 0 along an axis they are broadcast over; one thread computes one value, or with QUADS, where
//            the last axis is a multiple of 4, four neighbours.
// 64 threads a workgroup; workgroups are counted along x, then y.
//@include "common/math.wgsl"

struct Params { extents: vec4u, aStrides: vec4u, bStrides: vec4u, n: u32, p0: f32, p1: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a4: array<vec4f>;
@group(0) @binding(2) var<storage, read> b4: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> z4: array<vec4f>;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> z: array<f32>;

const ADD = 0; const SUB = 1; const MUL = 2; const DIV = 3; const POW = 4; const MAXIMUM = 5; const MINIMUM = 6;
const EQUAL = 7; const LESS = 8; const LESS_EQUAL = 9;
const ABS_GRADIENT = 20; const TANH_GRADIENT = 21; const SIGMOID_GRADIENT = 22; const RELU_GRADIENT = 23;
const SILU_GRADIENT = 24; const GELU_GRADIENT = 25; const GELU_TANH_GRADIENT = 26; const CLAMP_GRADIENT = 27;
const POW_GRADIENT = 28; const SQRT_GRADIENT = 29; const RSQRT_GRADIENT = 30; const POW_LOG = 31;
const POW_SLOPE = 32;

fn apply(u: vec4f, v: vec4f) -> vec4f {
  switch OP {
    case ADD: { return u + v; }
    case SUB: { return u - v; }
    case MUL: { return u * v; }
    case DIV: { return u / v; }
    case POW: { return pow_(u, v); }
    case MAXIMUM: { return max(u, v); }
    case MINIMUM: { return min(u, v); }
    case EQUAL: { return select(vec4f(0), vec4f(1), u == v); }
    case LESS: { return select(vec4f(0), vec4f(1), u < v); }
    case LESS_EQUAL: { return select(vec4f(0), vec4f(1), u <= v); }
    case ABS_GRADIENT: { return sign(u) * v; }
    case TANH_GRADIENT: { return (1.0 - u) * (1.0 + u) * v; }
    case SIGMOID_GRADIENT: { return u * (1.0 - u) * v; }
    case RELU_GRADIENT: { return select(vec4f(0), v, u > vec4f(0)); }
    case SILU_GRADIENT: { let s = sigmoid_(u); return s * (1.0 + u * (1.0 - s)) * v; }
    case GELU_GRADIENT: { return gelu_and_slope_(u).slope * v; }
    case GELU_TANH_GRADIENT: {
      // gelu(u) = u·σ(2g) with g = √(2/π)(u + 0.044715u³), so its derivative is σ + 2u·σ(1 − σ)·g'.
      // The derivative has saturated long before |u| = 64; beyond, u² would overflow.
      let w = clamp(u, vec4f(-64), vec4f(64));
      let s = sigmoid_(2.0 * gelu_tanh_inner(w));
      let slope = 0.7978845608028654 + 0.10703222440890037 * w * w;
      return (s + 2.0 * w * s * (1.0 - s) * slope) * v;
    }
    case CLAMP_GRADIENT: { return select(vec4f(0), v, (u >= vec4f(params.p0)) & (u <= vec4f(params.p1))); }
    case POW_GRADIENT: { return select(params.p0 * pow_(u, vec4f(params.p0 - 1.0)) * v, vec4f(0), params.p0 == 0.0); }
    case SQRT_GRADIENT: { return 0.5 * v / u; }
    case RSQRT_GRADIENT: { return -0.5 * u * u * u * v; }
    case POW_SLOPE: { return select(v * pow_(u, v - 1.0), vec4f(0), v == vec4f(0)); }
    case POW_LOG: { return select(pow_(u, v) * log_(u), vec4f(0), u == vec4f(0)); }
    default: { return u; }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64;
  if (i * 4 < params.n) { z4[i] = apply(a4[i], b4[i]); }
}

@compute @workgroup_size(64)
fn broadcast(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let thread = id.x + id.y * groups.x * 64;
  let i = select(thread, 4u * thread, QUADS);
  if (i >= params.n) { return; }
  let e = params.extents;
  let row = i / e.w;
  let plane = row / e.z;
  let index = vec4u(plane / e.y, plane % e.y, row % e.z, i % e.w);
  let ia = dot(index, params.aStrides);
  let ib = dot(index, params.bStrides);
//@if QUADS
  let sa = params.aStrides.w;
  let sb = params.bStrides.w;
  let u = vec4f(a[ia], a[ia + sa], a[ia + 2u * sa], a[ia + 3u * sa]);
  let v = vec4f(b[ib], b[ib + sb], b[ib + 2u * sb], b[ib + 3u * sb]);
  z4[thread] = apply(u, v);
//@else
  z[i] = apply(vec4f(a[ia]), vec4f(b[ib])).x;
//@end
}
