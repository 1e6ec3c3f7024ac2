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

//@include "stored.wgsl"
