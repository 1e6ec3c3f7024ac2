// Softmax cross-entropy of logits [rows, classes] against labels [rows], with its gradient in the same pass:
//   loss[row] = log Σ_j e^x_j − x_label,   dx[row] = softmax(x) − onehot(label)
// A row with the label −100 is ignored: its loss and gradient are 0. Any other label outside the classes gives a NaN
// loss, so that it can't go unseen; the host checks labels that it knows.
// One thread a row; 64 threads a workgroup; workgroups are counted along x, then y.

struct Params { rows: u32, classes: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

const IGNORED = -100i;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = id.x + id.y * groups.x * 64;
  if (row >= params.rows) { return; }
  let base = row * params.classes;
  let label = labels[row];
  if (label == IGNORED) {
    loss[row] = 0.0;
    for (var c = 0u; c < params.classes; c++) { dx[base + c] = 0.0; }
    return;
  }
  var peak = x[base];
  for (var c = 1u; c < params.classes; c++) { peak = max(peak, x[base + c]); }
  var total = 0.0;
  for (var c = 0u; c < params.classes; c++) {
    let e = exp_(vec4f(x[base + c] - peak)).x;
    total += e;
    dx[base + c] = e;
  }
  let factor = 1.0 / total;
  for (var c = 0u; c < params.classes; c++) {
    dx[base + c] = dx[base + c] * factor - select(0.0, 1.0, i32(c) == label);
  }
  // WGSL takes no constant NaN, so its bits pass through a value that is known at run time.
  if (label < 0 || u32(label) >= params.classes) { loss[row] = bitcast<f32>(0x7fc00000u | (params.rows & 0u)); }
  else { loss[row] = log_(vec4f(total)).x - (x[base + u32(label)] - peak); }
}
