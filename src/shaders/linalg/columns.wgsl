// Moves matrices between their tensors and the padded rows that QR and Jacobi work on: N stacks of `count` rows, `stride`
// floats each, of which `length` count. They work on scalars, as they run only once for each decomposition.
//
// pack:     rows[b, i, t] = scale[b]·x[b, i·rowStep + t·step], padding 0. One thread a float of rows.
// identity: rows[b, i, t] = (t == i + origin) ? 1 : 0. One thread a float of rows.
// pick:     out[b, i, t] = factor[b, i]·rows[b, order[b, i], origin + t] for t < length, padding 0. One thread a float of out.
// unpack:   out[b, i·rowStep + t·step] = factor[b, i]·rows[b, i, t]. One thread a float of out.
// norms:    out[b, i, 0] = ‖rows[b, i, 0..length]‖₂ and out[b, i, 1] = ‖rows[b, i, origin..origin + length]‖₂. One thread a row.
// signs:    out[b, i] = ±1, the sign of the largest |rows[b, i, t]| of the row, the first of equals. One thread a row.
// 64 threads a workgroup along x, then y; workgroup_id.z is the stack b.

struct Params { count: u32, stride: u32, length: u32, origin: u32, rowStep: u32, step: u32, size: u32, outStride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> factor: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(1) var<storage, read_write> blank: array<f32>;
@group(0) @binding(2) var<storage, read_write> perRow: array<f32>;
@group(0) @binding(4) var<storage, read> order: array<u32>;

fn index_of(id: vec3u, groups: vec3u) -> u32 { return id.x + id.y * groups.x * 64u; }

@compute @workgroup_size(64)
fn pack(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = index_of(id, groups);
  if (at >= params.count * params.stride) { return; }
  let t = at % params.stride;
  var value = 0.0;
  if (t < params.length) { value = factor[id.z] * x[id.z * params.size + at / params.stride * params.rowStep + t * params.step]; }
  out[id.z * params.count * params.stride + at] = value;
}

@compute @workgroup_size(64)
fn identity(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = index_of(id, groups);
  if (at >= params.count * params.stride) { return; }
  blank[id.z * params.count * params.stride + at] = select(0.0, 1.0, at % params.stride == at / params.stride + params.origin);
}

@compute @workgroup_size(64)
fn pick(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = index_of(id, groups);
  if (at >= params.count * params.outStride) { return; }
  let t = at % params.outStride;
  let i = id.z * params.count + at / params.outStride;
  var value = 0.0;
  if (t < params.length) { value = factor[i] * x[id.z * params.size + order[i] * params.stride + params.origin + t]; }
  out[id.z * params.count * params.outStride + at] = value;
}

@compute @workgroup_size(64)
fn unpack(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = index_of(id, groups);
  if (at >= params.count * params.length) { return; }
  let i = at / params.length;
  let t = at % params.length;
  let value = factor[id.z * params.count + i] * x[(id.z * params.count + i) * params.stride + t];
  out[id.z * params.count * params.length + i * params.rowStep + t * params.step] = value;
}

@compute @workgroup_size(64)
fn norms(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = index_of(id, groups);
  if (i >= params.count) { return; }
  let base = (id.z * params.count + i) * params.stride;
  var squares = vec2f(0);
  for (var t = base; t < base + params.length; t++) {
    let pair = vec2f(x[t], x[t + params.origin]);
    squares = fma(pair, pair, squares);
  }
  perRow[2u * (id.z * params.count + i)] = sqrt(squares.x);
  perRow[2u * (id.z * params.count + i) + 1u] = sqrt(squares.y);
}

@compute @workgroup_size(64)
fn signs(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = index_of(id, groups);
  if (i >= params.count) { return; }
  let base = (id.z * params.count + i) * params.stride;
  var best = x[base];
  for (var t = base; t < base + params.length; t++) { if (abs(x[t]) > abs(best)) { best = x[t]; } }
  perRow[id.z * params.count + i] = select(1.0, -1.0, best < 0.0);
}
