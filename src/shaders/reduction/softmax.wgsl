// Softmax over the last axis of x [rows, columns], with an optional scale and additive mask, and its gradient.
//
// main:     y = softmax(scale·x + mask), or its logarithm where LOG; mask [rows / rowsPerMask, columns] is added to
//           rowsPerMask neighbouring rows where MASKED. The maximum is subtracted first, so nothing overflows.
// gradient: dx = scale·y·(dy − Σ dy·y), or dy − e^y·Σ dy where LOG, from the saved y.
// A job is one row, LANES threads a job (see rows.wgsl). Columns that a mask drives to exactly 0 change nothing.
//@include "../common/math.wgsl"
//@include "rows.wgsl"

struct Params { rows: u32, columns: u32, rowsPerMask: u32, scale: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read> mask: array<Element>;
@group(0) @binding(3) var<storage, read_write> y: array<Element>;
@group(0) @binding(1) var<storage, read> saved: array<Element>;
@group(0) @binding(2) var<storage, read> dy: array<Element>;
@group(0) @binding(3) var<storage, read_write> dx: array<Element>;

//@for array in x, mask, saved, dy, y
fn {array}_at(start: u32, q: u32) -> vec4f {
//@if VEC
  return {array}[start / 4u + q];
//@else
  let i = start + 4u * q;
  return within(vec4f({array}[i], {array}[i + 1u], {array}[i + 2u], {array}[i + 3u]), q, 0);
//@end
}
//@end

//@for array in y, dx
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

const lowest = vec4f(-3.4028234e38);

fn score(start: u32, maskStart: u32, q: u32) -> vec4f {
  if (MASKED) { return fma(vec4f(params.scale), x_at(start, q), mask_at(maskStart, q)); }
  return params.scale * x_at(start, q);
}

@compute @workgroup_size(LANES, GROUPS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let row = row_of(group, groups, local);
  let quads = quads_of(row);
  let start = row * params.columns;
  let maskStart = row / params.rowsPerMask * params.columns;
  var peaks = lowest;
  for (var q = local.x; q < quads; q += LANES) { peaks = max(peaks, within(score(start, maskStart, q), q, lowest.x)); }
  let peak = max4(max_over_lanes(peaks, local));
  var total = vec4f(0);
  for (var q = local.x; q < quads; q += LANES) {
    let shifted = score(start, maskStart, q) - peak;
    let e = exp_(shifted);
    total += within(e, q, 0);
    if (LOG) { set_y(start, q, shifted); } else { set_y(start, q, e); }
  }
  let sum = sum4(sum_over_lanes(total, local));
  let offset = log_(vec4f(sum));
  let factor = 1.0 / sum;
  for (var q = local.x; q < quads; q += LANES) {
    if (LOG) { set_y(start, q, y_at(start, q) - offset); } else { set_y(start, q, y_at(start, q) * factor); }
  }
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
  var total = vec4f(0);
  for (var q = local.x; q < quads; q += LANES) {
    if (LOG) { total += dy_at(start, q); } else { total = fma(dy_at(start, q), saved_at(start, q), total); }
  }
  let sum = sum4(sum_over_lanes(total, local));
  for (var q = local.x; q < quads; q += LANES) {
    if (LOG) { set_dx(start, q, fma(-exp_(saved_at(start, q)), vec4f(sum), dy_at(start, q))); }
    else { set_dx(start, q, params.scale * saved_at(start, q) * (dy_at(start, q) - sum)); }
  }
}
