// Keeps the k elements of largest magnitude of each member, over several tensors together, and sets all others to 0; of
// equal magnitudes the first are kept.
//
// An element's place in that order is its key: the complement of its magnitude's bits, then its index, which counts through
// the member's tensors. `state` holds, for each member, the digits found so far of the k-th smallest key, and how many of
// the keys that begin with these digits are still to be kept. Each of its digits takes two steps, of 8 bits at `shift`:
// count:  adds up, for each value of the digit, the keys that begin with the digits found so far. Counts are whole
//         numbers, so the order of atomic additions changes nothing. Launched for each tensor.
// choose: finds the digit, then sets the counts to 0.
// First come the digits of magnitudes, then those of indices (BY_INDEX).
// keep:   y = x where the key is at most the one that was found, else 0. Launched for each tensor.
//
// x, y: the bits of f32 values [members, perMember]; state [members, 4]: magnitude's digits, index's digits, number left;
// counts [members, 256]; `first` is the index of the tensor's first element. count: a workgroup of 64 threads for 4096
// elements of one member, `pieces` of them a member; choose: a workgroup of 64 threads a member; keep: one thread an
// element, 64 a workgroup. Workgroups are counted along x, then y.

struct Params { members: u32, perMember: u32, pieces: u32, first: u32, shift: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> found: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;
@group(0) @binding(1) var<storage, read_write> state: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> counted: array<u32>;

const PIECE = 4096u;
const DIGITS = 256u;

var<workgroup> pieceCounts: array<atomic<u32>, DIGITS>;
var<workgroup> memberCounts: array<u32, DIGITS>;

fn magnitude_key(bits: u32) -> u32 { return ~(bits & 0x7fffffffu); }

@compute @workgroup_size(64)
fn count(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let job = group.x + group.y * groups.x;
  let member = job / params.pieces;
  let start = job % params.pieces * PIECE;
  for (var digit = lane; digit < DIGITS; digit += 64) { atomicStore(&pieceCounts[digit], 0); }
  workgroupBarrier();
  if (member < params.members) {
    let prefix = found[member];
    for (var i = start + lane; i < min(start + PIECE, params.perMember); i += 64) {
      let key = magnitude_key(x[member * params.perMember + i]);
      if (BY_INDEX) {
        let place = (params.first + i) ^ prefix.y;
        if (key == prefix.x && (place >> params.shift) < DIGITS) { atomicAdd(&pieceCounts[place >> params.shift], 1); }
      } else {
        let place = (key ^ prefix.x) >> params.shift;
        if (place < DIGITS) { atomicAdd(&pieceCounts[place], 1); }
      }
    }
  }
  workgroupBarrier();
  if (member < params.members) {
    for (var digit = lane; digit < DIGITS; digit += 64) {
      let number = atomicLoad(&pieceCounts[digit]);
      if (number > 0) { atomicAdd(&counts[member * DIGITS + digit], number); }
    }
  }
}

@compute @workgroup_size(64)
fn choose(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let member = group.x + group.y * groups.x;
  if (member < params.members) {
    for (var digit = lane; digit < DIGITS; digit += 64) {
      memberCounts[digit] = counted[member * DIGITS + digit];
      counted[member * DIGITS + digit] = 0;
    }
  }
  workgroupBarrier();
  if (member < params.members && lane == 0) {
    var left = state[member].z;
    var digit = 0u;
    while (digit < DIGITS - 1 && memberCounts[digit] < left) {
      left -= memberCounts[digit];
      digit++;
    }
    if (BY_INDEX) { state[member].y |= digit << params.shift; } else { state[member].x |= digit << params.shift; }
    state[member].z = left;
  }
}

@compute @workgroup_size(64)
fn keep(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64;
  if (at >= params.members * params.perMember) { return; }
  let last = found[at / params.perMember];
  let key = magnitude_key(x[at]);
  let isKept = key < last.x || (key == last.x && params.first + at % params.perMember <= last.y);
  y[at] = select(0u, x[at], isKept);
}
