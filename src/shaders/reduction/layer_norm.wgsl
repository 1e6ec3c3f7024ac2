// Layer normalisation over the last axis of x [rows, columns]: y = x̂·γ + β, x̂ = (x − μ)/√(σ² + ε), with the variance
// by a second pass over x − μ. γ and β are [affines, columns]: one row each for rowsPerAffine rows of x.
//
// main:            y, and the row's statistics (μ, 1/√(σ² + ε)) in stats [rows, 2].
// gradient:        dx = r·(g − mean(g) − x̂·mean(g·x̂)), g = dy·γ, r = 1/√(σ² + ε).
// affine_gradient: dGamma and dBeta [affines, chunks, columns], whose sums over the chunks are dγ = Σ dy·x̂ and dβ = Σ dy:
//                  chunk c takes `chunk` rows from c·chunk on, in order.
// main and gradient: a job is one row, LANES threads a job (see rows.wgsl). affine_gradient: one thread four columns of a
// chunk, 64 threads a workgroup; workgroups are counted along x, then y.
//@include "rows.wgsl"

struct Params { rows: u32, columns: u32, rowsPerAffine: u32, epsilon: f32, affines: u32, chunks: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read> gamma: array<Element>;
@group(0) @binding(3) var<storage, read> beta: array<Element>;
@group(0) @binding(4) var<storage, read_write> y: array<Element>;
@group(0) @binding(5) var<storage, read_write> stats: array<vec2f>;
@group(0) @binding(3) var<storage, read> savedStats: array<vec2f>;
@group(0) @binding(4) var<storage, read> dy: array<Element>;
@group(0) @binding(5) var<storage, read_write> dx: array<Element>;
@group(0) @binding(2) var<storage, read_write> dGamma: array<Element>;
@group(0) @binding(5) var<storage, read_write> dBeta: array<Element>;

//@for array in x, gamma, beta, dy
fn {array}_at(start: u32, q: u32) -> vec4f {
//@if VEC
  return {array}[start / 4u + q];
//@else
  let i = start + 4u * q;
  return within(vec4f({array}[i], {array}[i + 1u], {array}[i + 2u], {array}[i + 3u]), q, 0);
//@end
}
//@end

//@for array in y, dx, dGamma, dBeta
fn set_{array}(start: u32, q: u32, v: vec4f) {
//@if VEC
  {array}[start / 4u + q] = v;
//@else
//@for c in 0..4
  if (4u * q + {c}u < params.columns) { {array}[start + 4u * q + {c}u] = v[{c}]; }
//@end
//@end
}
//@end

@compute @workgroup_size(LANES, GROUPS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let row = row_of(group, groups, local);
  let quads = quads_of(row);
  let start = row * params.columns;
  let affine = row / params.rowsPerAffine * params.columns;
  let n = f32(params.columns);
  var total = vec4f(0);
  for (var q = local.x; q < quads; q += LANES) { total += x_at(start, q); }
  let mean = sum4(sum_over_lanes(total, local)) / n;
  var squares = vec4f(0);
  for (var q = local.x; q < quads; q += LANES) {
    let centred = within(x_at(start, q) - mean, q, 0);
    squares = fma(centred, centred, squares);
  }
  let r = 1.0 / sqrt(sum4(sum_over_lanes(squares, local)) / n + params.epsilon);
  for (var q = local.x; q < quads; q += LANES) {
    set_y(start, q, fma((x_at(start, q) - mean) * r, gamma_at(affine, q), beta_at(affine, q)));
  }
  if (quads > 0u && local.x == 0u) { stats[row] = vec2f(mean, r); }
}

@compute @workgroup_size(LANES, GROUPS)
fn gradient(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let row = row_of(group, groups, local);
  let quads = quads_of(row);
  let start = row * params.columns;
  let affine = row / params.rowsPerAffine * params.columns;
  let mean = savedStats[row].x;
  let r = savedStats[row].y;
  var sumG = vec4f(0);
  var sumGx = vec4f(0);
  for (var q = local.x; q < quads; q += LANES) {
    let g = dy_at(start, q) * gamma_at(affine, q);
    sumG += g;
    sumGx = fma(g, (x_at(start, q) - mean) * r, sumGx);
  }
  let means = sum_over_lanes(vec4f(sum4(sumG), sum4(sumGx), 0, 0), local) / f32(params.columns);
  for (var q = local.x; q < quads; q += LANES) {
    let g = dy_at(start, q) * gamma_at(affine, q);
    set_dx(start, q, r * (g - means.x - (x_at(start, q) - mean) * r * means.y));
  }
}

@compute @workgroup_size(64)
fn affine_gradient(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let quads = (params.columns + 3u) / 4u;
  let i = id.x + id.y * groups.x * 64u;
  let q = i % quads;
  let part = i / quads;
  if (part >= params.affines * params.chunks) { return; }
  let affine = part / params.chunks;
  let first = affine * params.rowsPerAffine + part % params.chunks * params.chunk;
  let last = min(first + params.chunk, min((affine + 1u) * params.rowsPerAffine, params.rows));
  var sumGx = vec4f(0);
  var sumG = vec4f(0);
  for (var row = first; row < last; row++) {
    let g = dy_at(row * params.columns, q);
    sumGx = fma(g, (x_at(row * params.columns, q) - savedStats[row].x) * savedStats[row].y, sumGx);
    sumG += g;
  }
  set_dGamma(part * params.columns, q, sumGx);
  set_dBeta(part * params.columns, q, sumG);
}
