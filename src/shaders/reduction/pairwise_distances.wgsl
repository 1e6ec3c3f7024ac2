// distances[i, j] = ‖x[i] − x[j]‖₂ for x [n, size] and distances [n, n], whose diagonal is 0 and which is symmetric to the bit.
// A first pass finds the largest half difference m, a second one adds up ((x[i] − x[j]) / 2m)²: so no square overflows or
// vanishes, and the distance is 2·m·√sum.
//
// A workgroup of 64 threads a pair i ≤ j, by strides of 64 and then a tree, so the order of the sum depends on `size` alone;
// workgroups are counted along x, then y.

struct Params { n: u32, size: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> distances: array<f32>;

var<workgroup> shares: array<f32, 64>;

fn half_difference(i: u32, j: u32, k: u32) -> f32 {
  return 0.5 * x[i * params.size + k] - 0.5 * x[j * params.size + k];
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let pair = group.x + group.y * groups.x;
  let i = pair / params.n;
  let j = pair % params.n;
  let size = select(0u, params.size, i < params.n && i < j);
  var largest = 0.0;
  for (var k = lane; k < size; k += 64) { largest = max(largest, abs(half_difference(i, j, k))); }
  shares[lane] = largest;
  for (var width = 32u; width > 0; width /= 2) {
    workgroupBarrier();
    if (lane < width) { shares[lane] = max(shares[lane], shares[lane + width]); }
  }
  workgroupBarrier();
  largest = shares[0];
  workgroupBarrier();
  var total = 0.0;
  if (largest > 0) {
    for (var k = lane; k < size; k += 64) {
      let part = half_difference(i, j, k) / largest;
      total = fma(part, part, total);
    }
  }
  shares[lane] = total;
  for (var width = 32u; width > 0; width /= 2) {
    workgroupBarrier();
    if (lane < width) { shares[lane] += shares[lane + width]; }
  }
  if (lane == 0 && i < params.n && i <= j) {
    let distance = 2 * largest * sqrt(shares[0]);
    distances[i * params.n + j] = distance;
    distances[j * params.n + i] = distance;
  }
}
