// Softmax over the last axis of x [rows, columns], with an optional scale and additive mask, and its gradient.
//
// main:     y = softmax(scale·x + mask), or its logarithm where LOG; mask [rows / rowsPerMask, columns] is added to
//           rowsPerMask neighbouring rows where MASKED. The maximum is taken off first, so nothing overflows.
// gradient: dx = scale·y·(dy − Σ dy·y), or dy − e^y·Σ dy where LOG, from the saved y.
// One thread a row; sums run over the columns in order, so columns that a mask drives to exactly 0 change nothing.
// 64 threads a workgroup; workgroups are counted along x, then y.

struct Params { rows: u32, columns: u32, rowsPerMask: u32, scale: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> saved: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

fn value(at: u32, maskAt: u32) -> f32 {
  var v = params.scale * x[at];
  if (MASKED) { v += mask[maskAt]; }
  return v;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = id.x + id.y * groups.x * 64;
  if (row >= params.rows) { return; }
  let base = row * params.columns;
  let maskBase = (row / params.rowsPerMask) * params.columns;
  var peak = value(base, maskBase);
  for (var c = 1u; c < params.columns; c++) { peak = max(peak, value(base + c, maskBase + c)); }
  var total = 0.0;
  for (var c = 0u; c < params.columns; c++) {
    let shifted = value(base + c, maskBase + c) - peak;
    let e = exp_(vec4f(shifted)).x;
    total += e;
    y[base + c] = select(e, shifted, LOG);
  }
  if (LOG) {
    let offset = log_(vec4f(total)).x;
    for (var c = 0u; c < params.columns; c++) { y[base + c] -= offset; }
  } else {
    let factor = 1.0 / total;
    for (var c = 0u; c < params.columns; c++) { y[base + c] *= factor; }
  }
}

@compute @workgroup_size(64)
fn gradient(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = id.x + id.y * groups.x * 64;
  if (row >= params.rows) { return; }
  let base = row * params.columns;
  var total = 0.0;
  for (var c = base; c < base + params.columns; c++) { total = select(fma(dy[c], saved[c], total), total + dy[c], LOG); }
  for (var c = base; c < base + params.columns; c++) {
    if (LOG) { dx[c] = fma(-exp_(vec4f(saved[c])).x, total, dy[c]); }
    else { dx[c] = params.scale * saved[c] * (dy[c] - total); }
  }
}
