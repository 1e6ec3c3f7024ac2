// Products with the Q of a Householder QR (see qr.wgsl for `reflectors`, there `columns`, `diagonal` and `pivots`, there `state`):
//
// y ← H_first·…·H_{last-1}·y for each of the columns y of targets [N, count, stride]. With OF_IDENTITY column c is e_c to begin
// with, which H_j leaves alone for j > c.
// A job is one column; LANES threads a job (see lanes.wgsl). workgroup_id.z is the matrix.
//@include "../common/lanes.wgsl"

struct Params { columns: u32, stride: u32, k: u32, first: u32, last: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> reflectors: array<vec4f>;
@group(0) @binding(2) var<storage, read> diagonal: array<f32>;
@group(0) @binding(3) var<storage, read> pivots: array<u32>;
@group(0) @binding(4) var<storage, read_write> targets: array<vec4f>;

@compute @workgroup_size(LANES, GROUPS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let c = group.x * GROUPS + local.y;
  let live = c < params.count;
  let y = (group.z * params.count + c) * params.stride;
  for (var after = params.last; after > params.first; after--) {
    let j = after - 1u;
    var p = j;
    if (PIVOTED) { p = 0xffffu - (pivots[group.z * (params.k + 1u + params.columns) + j] & 0xffffu); }
    let x = (group.z * params.columns + p) * params.stride;
    let rjj = diagonal[group.z * params.k + j];
    let moves = live && rjj != 0.0 && (j <= c || !OF_IDENTITY);
    let end = select(0u, params.stride, moves);
    let head = j / 4u;
    let begin = first_of_lane(head, local.x);
    var products = vec4f(0);
    for (var q = begin; q < end; q += LANES) { products = fma(reflectors[x + q], targets[y + q], products); }
    var own = 0.0;
    if (begin == head && moves) { own = targets[y + head][j % 4u]; }
    let sums = sum_over_lanes(vec4f(sum4(products), own, 0, 0), local);
    if (moves) {
      let yj = sums.y;
      let xj = reflectors[x + head][j % 4u];
      let factor = (sums.x - rjj * yj) / (abs(rjj) * (abs(rjj) + abs(xj)));
      for (var q = begin; q < end; q += LANES) {
        var next = fma(vec4f(-factor), reflectors[x + q], targets[y + q]);
        if (q == head) { next = select(next, vec4f(fma(-factor, xj - rjj, yj)), vec4u(0, 1, 2, 3) == vec4u(j % 4u)); }
        targets[y + q] = next;
      }
    }
  }
}
