// What the kernels of matrix products share: parameters, the output's bindings, and what happens to a
// finished sum. See matmul_register.wgsl for the formula and the meaning of the constants.

struct Term {
  k: u32,
  aOffset: u32, aRow: u32, aOuter: u32, aInner: u32,
  bOffset: u32, bRow: u32, bOuter: u32, bInner: u32,
  bScales: u32, unused1: u32, unused2: u32,
}

struct Params {
  m: u32, n: u32, batch: u32, batchInner: u32,
  cOffset: u32, cRow: u32, cOuter: u32, cInner: u32,
  biasOuter: u32, biasInner: u32, alpha: f32, splits: u32,
  hasBias: u32, unused0: u32, unused1: u32, unused2: u32,
  terms: array<Term, 2>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
//@if RESIDUAL
@group(0) @binding(5 + 2 * u32(SECOND)) var<storage, read> residual: array<f32>;
//@end
//@if SLOPE
@group(0) @binding(5 + 2 * u32(SECOND) + u32(RESIDUAL)) var<storage, read_write> slope: array<f32>;
//@end

// First column, first row, and index of the matrix that tile `id` of the flat grid belongs to.
fn tile_of(id: u32) -> vec3u {
  let tilesN = (params.n + TILE_N - 1u) / TILE_N;
  let tilesM = (params.m + TILE_M - 1u) / TILE_M;
  return vec3u(id % tilesN * TILE_N, id / tilesN % tilesM * TILE_M, id / (tilesN * tilesM));
}

fn bias_of(at: u32) -> f32 {
  if (params.hasBias == 1u) { return bias[at]; }
  return 0.0;
}

// With SCALED, there is one alpha for each outer matrix; they are bound in place of the bias, of which there is none then.
fn alpha_of(outer: u32) -> f32 {
//@if SCALED
  return bias[outer];
//@else
  return params.alpha;
//@end
}

// An explicit fma: whether an adapter rounds it once or twice, it then does so in every variant.
fn finish(sum: f32, alpha: f32, shift: f32, at: u32) {
  var value = fma(alpha, sum, shift);
//@if RESIDUAL
  value += residual[at];
//@end
  c[at] = value;
}

//@if ACTIVATION
//@include "../common/math.wgsl"

struct Activated { value: vec4f, slope: vec4f }

fn activate(z: vec4f) -> Activated {
//@if GELU
  let gelu = gelu_and_slope_(z);
  return Activated(gelu.value, gelu.slope);
//@else
  return Activated(max(z, vec4f(0)), select(vec4f(0), vec4f(1), z > vec4f(0)));
//@end
}

fn store_activated(value: f32, gradient: f32, at: u32) {
  c[at] = value;
//@if SLOPE
  slope[at] = gradient;
//@end
}
//@end

// Elements of B as they are stored: f32; with HALF_B pairs of f16, the first in the low bits; with INT8_B whole numbers in 8 bits
// as in int8.wgsl, four in a word, whose row's scale is applied to sums (SCALE_C) or to A (SCALE_A).
//@if INT8_B
alias OneB = u32;
alias FourB = u32;
const PER_B = 4u;
fn one(stored: u32, i: u32) -> f32 { return f32(i32(stored << (24u - 8u * (i % 4u))) >> 24u); }
fn four(stored: u32) -> vec4f { return vec4f((vec4i(vec4u(stored)) << vec4u(24, 16, 8, 0)) >> vec4u(24)); }
//@else
//@if HALF_B
alias OneB = u32;
alias FourB = vec2u;
const PER_B = 2u;
fn one(stored: u32, i: u32) -> f32 { return unpack2x16float(stored)[i % 2u]; }
fn four(stored: vec2u) -> vec4f { return vec4f(unpack2x16float(stored.x), unpack2x16float(stored.y)); }
//@else
alias OneB = f32;
alias FourB = vec4f;
const PER_B = 1u;
fn one(stored: f32, i: u32) -> f32 { return stored; }
fn four(stored: vec4f) -> vec4f { return stored; }
//@end
//@end
