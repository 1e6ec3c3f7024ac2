// Sums and maxima over the LANES threads that share one job, GROUPS jobs in each workgroup. The order of the additions
// depends on LANES alone. With one lane there is no barrier; on a CPU adapter barriers dominate the cost.
//
// Workgroup layout of the kernels: @workgroup_size(LANES, GROUPS), LANES a power of two.

var<workgroup> lane_sums: array<vec4f, LANES * GROUPS>;

fn sum_over_lanes(value: vec4f, local: vec3u) -> vec4f {
  if (LANES == 1) { return value; }
  let base = local.y * LANES;
  workgroupBarrier();
  lane_sums[base + local.x] = value;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local.x < half) { lane_sums[base + local.x] += lane_sums[base + local.x + half]; }
  }
  workgroupBarrier();
  return lane_sums[base];
}

fn max_over_lanes(value: vec4f, local: vec3u) -> vec4f {
  if (LANES == 1) { return value; }
  let base = local.y * LANES;
  workgroupBarrier();
  lane_sums[base + local.x] = value;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local.x < half) { lane_sums[base + local.x] = max(lane_sums[base + local.x], lane_sums[base + local.x + half]); }
  }
  workgroupBarrier();
  return lane_sums[base];
}

fn sum4(v: vec4f) -> f32 { return (v.x + v.y) + (v.z + v.w); }

fn max4(v: vec4f) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }

// The first index from `head` on that is the lane's: vec4 q is always lane q mod LANES's, so that kernels whose sums begin at
// another head each time need no barriers but those of the sums.
fn first_of_lane(head: u32, lane: u32) -> u32 { return head + (lane + LANES - head % LANES) % LANES; }
