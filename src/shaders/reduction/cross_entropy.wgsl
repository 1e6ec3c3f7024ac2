// Softmax cross-entropy of logits x [rows, columns] against labels [rows], with its gradient in the same pass:
//   loss[row] = log Σ_j e^x_j − x_label,   dx[row] = softmax(x) − onehot(label)
// A row with the label −100 is ignored: its loss and gradient are 0. Any other label outside the classes gives a NaN
// loss, so that it can't go unnoticed; the host checks labels that it knows. Without GRADIENT there is no dx.
// A job is one row, LANES threads a job (see rows.wgsl).
//@include "../common/math.wgsl"
//@include "rows.wgsl"

struct Params { rows: u32, columns: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<Element>;

const IGNORED = -100i;
const lowest = -3.4028234e38;

fn x_at(start: u32, q: u32, other: f32) -> vec4f {
//@if VEC
  return x[start / 4u + q];
//@else
  let i = start + 4u * q;
  return within(vec4f(x[i], x[i + 1u], x[i + 2u], x[i + 3u]), q, other);
//@end
}

fn set_dx(start: u32, q: u32, v: vec4f) {
//@if VEC
  dx[start / 4u + q] = v;
//@else
//@for c in 0..4
  if (4u * q + {c}u < params.columns) { dx[start + 4u * q + {c}u] = v[{c}]; }
//@end
//@end
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
  var peaks = vec4f(lowest);
  for (var q = local.x; q < quads; q += LANES) { peaks = max(peaks, x_at(start, q, lowest)); }
  let peak = max4(max_over_lanes(peaks, local));
  var total = vec4f(0);
  for (var q = local.x; q < quads; q += LANES) { total += within(exp_(x_at(start, q, 0) - peak), q, 0); }
  let sum = sum4(sum_over_lanes(total, local));
  if (quads == 0u) { return; }
  let label = labels[row];
  let ignored = label == IGNORED;
//@if GRADIENT
  let factor = 1.0 / sum;
  for (var q = local.x; q < quads; q += LANES) {
    let hot = select(vec4f(0), vec4f(1), vec4i(4 * i32(q)) + vec4i(0, 1, 2, 3) == vec4i(label));
    set_dx(start, q, select(exp_(x_at(start, q, 0) - peak) * factor - hot, vec4f(0), ignored));
  }
//@end
  if (local.x > 0u) { return; }
  if (ignored) { loss[row] = 0.0; }
  // WGSL takes no constant NaN, so its bits pass through a value that is known at run time.
  else if (label < 0 || u32(label) >= params.columns) { loss[row] = bitcast<f32>(0x7fc00000u | (params.rows & 0u)); }
  else { loss[row] = log_(vec4f(sum)).x - (x_at(start, u32(label) / 4u, 0)[u32(label) % 4u] - peak); }
}
