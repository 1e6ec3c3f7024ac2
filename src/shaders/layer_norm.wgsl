// Layer normalisation over the last axis of x [rows, columns]: y = x̂·γ + β, x̂ = (x − μ)/√(σ² + ε), with the variance
// by a second pass over x − μ. γ and β are [rows / rowsPerAffine, columns]: one row each for rowsPerAffine rows of x.
//
// main:         y, and the row's statistics (μ, 1/√(σ² + ε)) in stats [rows, 2].
// gradient:     dx = r·(g − mean(g) − x̂·mean(g·x̂)), g = dy·γ, r = 1/√(σ² + ε).
// gamma_terms:  dy·x̂, whose sum over rows is dγ.
// main and gradient: one thread a row; gamma_terms: one thread a value. 64 threads a workgroup; workgroups are counted
// along x, then y.

struct Params { rows: u32, columns: u32, rowsPerAffine: u32, epsilon: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> stats: array<vec2f>;
@group(0) @binding(3) var<storage, read> savedStats: array<vec2f>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;
@group(0) @binding(2) var<storage, read> statsOfTerms: array<vec2f>;
@group(0) @binding(3) var<storage, read> dyOfTerms: array<f32>;
@group(0) @binding(4) var<storage, read_write> terms: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = id.x + id.y * groups.x * 64;
  if (row >= params.rows) { return; }
  let base = row * params.columns;
  let affine = (row / params.rowsPerAffine) * params.columns;
  var total = 0.0;
  for (var c = 0u; c < params.columns; c++) { total += x[base + c]; }
  let mean = total / f32(params.columns);
  var squares = 0.0;
  for (var c = 0u; c < params.columns; c++) {
    let centred = x[base + c] - mean;
    squares = fma(centred, centred, squares);
  }
  let r = 1.0 / sqrt(squares / f32(params.columns) + params.epsilon);
  for (var c = 0u; c < params.columns; c++) {
    y[base + c] = fma((x[base + c] - mean) * r, gamma[affine + c], beta[affine + c]);
  }
  stats[row] = vec2f(mean, r);
}

@compute @workgroup_size(64)
fn gradient(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = id.x + id.y * groups.x * 64;
  if (row >= params.rows) { return; }
  let base = row * params.columns;
  let affine = (row / params.rowsPerAffine) * params.columns;
  let mean = savedStats[row].x;
  let r = savedStats[row].y;
  var sumG = 0.0;
  var sumGx = 0.0;
  for (var c = 0u; c < params.columns; c++) {
    let g = dy[base + c] * gamma[affine + c];
    sumG += g;
    sumGx = fma(g, (x[base + c] - mean) * r, sumGx);
  }
  let n = f32(params.columns);
  for (var c = 0u; c < params.columns; c++) {
    let g = dy[base + c] * gamma[affine + c];
    dx[base + c] = r * (g - sumG / n - (x[base + c] - mean) * r * (sumGx / n));
  }
}

@compute @workgroup_size(64)
fn gamma_terms(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64;
  if (i >= params.rows * params.columns) { return; }
  let row = statsOfTerms[i / params.columns];
  terms[i] = dyOfTerms[i] * (x[i] - row.x) * row.y;
}
