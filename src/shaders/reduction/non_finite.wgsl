// counts[c] += how many of values[c] are NaN or infinite, for values [C, n] and counts [C]. The test is on bits: compilers
// may assume that there is no NaN. Counts are whole numbers, so the order in which they are added doesn't matter.
// One thread 16 neighbouring values of one member; 64 threads a workgroup; workgroups are counted along x, then y.

struct Params { members: u32, n: u32, chunks: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<u32>;
@group(0) @binding(2) var<storage, read_write> counts: array<atomic<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64;
  if (i >= params.members * params.chunks) { return; }
  let member = i / params.chunks;
  let first = (i % params.chunks) * 16;
  let last = min(first + 16, params.n);
  var count = 0u;
  for (var k = first; k < last; k++) {
    if ((values[member * params.n + k] & 0x7f800000u) == 0x7f800000u) { count++; }
  }
  if (count > 0) { atomicAdd(&counts[member], count); }
}
