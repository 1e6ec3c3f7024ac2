// The factor that brings each member's gradient, all its tensors together, to a norm of at most maxNorm:
// min(1, maxNorm / (‖g‖₂ + 1e-6)). `squares` sums the squares of each chunk of a member (see `optimizer.wgsl`):
// partial[member, chunk]. `factors` adds these up. The order of both sums depends only on the chunks of one member.
//
// COOPERATIVE: a workgroup of 64 threads a sum, by strides of 64 and then a tree; else one thread a sum, in order.
// Workgroups are counted along x, then y.

struct Params { firstChunk: u32, chunks: u32, total: u32, gradientShift: u32, allChunks: u32, maxNorm: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> chunks: array<vec4u>;
@group(0) @binding(2) var<storage, read> values: array<f32>;
@group(0) @binding(3) var<storage, read_write> result: array<f32>;

//@if COOPERATIVE
const LANES = 64u;
var<workgroup> shares: array<f32, 64>;

fn combine(own: f32, lane: u32) -> f32 {
  shares[lane] = own;
  for (var half = 32u; half > 0; half /= 2) {
    workgroupBarrier();
    if (lane < half) { shares[lane] += shares[lane + half]; }
  }
  return shares[lane];
}
//@else
const LANES = 1u;

fn combine(own: f32, lane: u32) -> f32 { return own; }
//@end

fn sumOf(group: vec3u, groups: vec3u, lane: u32) -> u32 {
  return select(lane + 64 * (group.x + group.y * groups.x), group.x + group.y * groups.x, LANES == 64);
}

@compute @workgroup_size(64)
fn squares(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = sumOf(group, groups, lane);
  let member = i / params.chunks;
  let index = params.firstChunk + i % params.chunks;
  let chunk = chunks[index];
  let first = params.gradientShift + chunk.x + member * chunk.y + chunk.z;
  let length = select(0, chunk.w, i < params.total);
  var total = 0.0;
  for (var j = select(0, lane, LANES == 64); j < length; j += LANES) {
    let value = values[first + j];
    total = fma(value, value, total);
  }
  total = combine(total, lane);
  if (i < params.total && (LANES == 1 || lane == 0)) { result[member * params.allChunks + index] = total; }
}

@compute @workgroup_size(64)
fn factors(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let member = sumOf(group, groups, lane);
  let length = select(0, params.allChunks, member < params.total);
  var total = 0.0;
  for (var j = select(0, lane, LANES == 64); j < length; j += LANES) {
    total += values[member * params.allChunks + j];
  }
  total = combine(total, lane);
  if (member < params.total && (LANES == 1 || lane == 0)) {
    result[member] = min(1.0, params.maxNorm / (sqrt(total) + 1e-6));
  }
}
