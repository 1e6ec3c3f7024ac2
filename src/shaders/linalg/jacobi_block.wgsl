// One round of one-sided block Jacobi (Bečka, Okša & Vajteršic, arXiv 1401.2720) on N stacks of rows, for CPU adapters whose
// subgroups have 8 lanes: the rows are processed in groups of sixteen, 8 at the top and 8 at the bottom, and rotated so that the first
// `head` vec4s of each at the top come nearer to orthogonal to each at the bottom. What follows in the rows (the transformation
// so far) is rotated along.
//
// rows [N, n, width] of vec4, n a multiple of 16: rotated in place. cosines [sweeps + 1, N]: as in jacobi.wgsl.
//
// Round r of a tournament of `blocks` (n / 8, even) pairs them off as in jacobi.wgsl. Of the 16 rows of two blocks those are at
// the bottom whose number has bit `split`: with split 3 blocks meet, with 2, 1 and 0 the rows inside of them.
//
// A workgroup is one subgroup, and one sixteen its job: nothing is loaded twice, and nothing waits at a barrier. Lane l
// stands for row l of the top and row l of the bottom.
// 1. The Gram matrix G of the 16 rows: gt{i} and gb{i} are its row of top i and of bottom i, of which lane l holds the columns of
//    top l and bottom l. Rows within the top and within the bottom count as orthogonal: other rounds rotate them.
// 2. Two-sided Jacobi on G, 8 pairs at once: each lane rotates its own two columns, then all of them rotate the rows by
//    the angles of the others. The bottom goes round by one, columns by a shuffle and rows by renaming; after 8 rounds each of
//    it has met all of the top and stands where it began. w gathers the rotations.
// 3. The rows become wᵀ·rows, each lane a vec4 of all 16 at a time.
// w is orthogonal to rounding whatever the error of G, so that the squares in G cost sweeps, not accuracy.
//@include "rotation.wgsl"
enable subgroups;
diagnostic(off, subgroup_uniformity);

struct Params { blocks: u32, head: u32, width: u32, round: u32, sweep: u32, tolerance: f32, split: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> rows: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> cosines: array<atomic<u32>>;

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let slot = params.sweep * groups.z + group.z;
  if (bitcast<f32>(atomicLoad(&cosines[slot - groups.z])) <= params.tolerance) { return; }
  let circle = params.blocks - 1u;
  let first = (params.round + group.x) % circle;
  let second = select((params.round + circle - group.x) % circle, circle, group.x == 0u);
  let stack = group.z * params.blocks;
  let bit = 1u << params.split;
//@for i in 0..8
  let number{i} = (({i}u >> params.split) << (params.split + 1u)) | ({i}u & (bit - 1u));
  let top{i} = ((stack + select(first, second, number{i} >= 8u)) * 8u + number{i} % 8u) * params.width;
  let bottom{i} = ((stack + select(first, second, number{i} + bit >= 8u)) * 8u + (number{i} + bit) % 8u) * params.width;
//@end
  var top = top0;
  var bottom = bottom0;
//@for i in 0..8
  if (lane == {i}u) {
    top = top{i};
    bottom = bottom{i};
  }
//@end

  var squares = vec2f(0);
//@for i in 0..8
  var product{i} = 0.0;
//@end
  for (var q = 0u; q < params.head; q++) {
    let x = rows[top + q];
    let y = rows[bottom + q];
//@for e in 0..4
    squares = fma(vec2f(x[{e}], y[{e}]), vec2f(x[{e}], y[{e}]), squares);
//@end
//@for i in 0..8
//@for e in 0..4
    product{i} = fma(subgroupBroadcast(x[{e}], {i}u), y[{e}], product{i});
//@end
//@end
  }

  let inverse = select(vec2f(0), 1.0 / sqrt(squares), squares > vec2f(negligible));
  var largest = 0.0;
//@for i in 0..8
  largest = max(largest, abs(product{i}) * subgroupBroadcast(inverse.x, {i}u));
//@end
  let cosine = subgroupMax(largest * inverse.y);
  if (lane == 0u && cosine > 0.0) { atomicMax(&cosines[slot], bitcast<u32>(cosine)); }
  // Left alone, rows just below the tolerance come out of the others' rotations just above it, and cost a sweep.
  let enough = 0.25 * params.tolerance;
  if (cosine <= enough) { return; }

//@for i in 0..8
  let own{i} = f32(lane == {i}u);
  var gt{i} = vec2f(own{i} * squares.x, product{i});
  var gb{i} = vec2f(0, own{i} * squares.y);
  var wt{i} = vec2f(own{i}, 0);
  var wb{i} = vec2f(0, own{i});
//@end
//@for j in 0..8
//@for i in 0..8
  gb{j}.x += own{i} * subgroupBroadcast(product{i}, {j}u);
//@end
//@end
  for (var round = 0u; round < 8u; round++) {
    var alpha = 0.0;
    var beta = 0.0;
    var gamma = 0.0;
//@for i in 0..8
    if (lane == {i}u) {
      alpha = gt{i}.x;
      beta = gb{i}.y;
      gamma = gt{i}.y;
    }
//@end
    let turn = rotation_of(alpha, beta, gamma, enough);
    let s = turn.x;
    let h = turn.y;
    let next = (lane + 1u) % 8u;
//@for m in gt, gb, wt, wb
//@for i in 0..8
    {
      let y = fma(s, fma(-h, {m}{i}.y, {m}{i}.x), {m}{i}.y);
      {m}{i} = vec2f(fma(-s, fma(h, {m}{i}.x, {m}{i}.y), {m}{i}.x), subgroupShuffle(y, next));
    }
//@end
//@end
//@for i in 0..8
    {
      let sh = subgroupBroadcast(turn, {i}u);
      let t = gt{i};
      let b = gb{i};
      gt{i} = fma(vec2f(-sh.x), fma(vec2f(sh.y), t, b), t);
      gb{i} = fma(vec2f(sh.x), fma(vec2f(-sh.y), b, t), b);
    }
//@end
    let left = gb0;
    gb0 = gb1; gb1 = gb2; gb2 = gb3; gb3 = gb4; gb4 = gb5; gb5 = gb6; gb6 = gb7; gb7 = left;
  }

  for (var q = lane; q < params.width; q += 8u) {
//@for j in 0..8
    let t{j} = rows[top{j} + q];
    let b{j} = rows[bottom{j} + q];
//@end
//@for i in 0..8
    {
      var x = vec4f(0);
      var y = vec4f(0);
//@for j in 0..8
      {
        let t = subgroupBroadcast(wt{j}, {i}u);
        let b = subgroupBroadcast(wb{j}, {i}u);
        x = fma(vec4f(t.x), t{j}, fma(vec4f(b.x), b{j}, x));
        y = fma(vec4f(t.y), t{j}, fma(vec4f(b.y), b{j}, y));
      }
//@end
      rows[top{i} + q] = x;
      rows[bottom{i} + q] = y;
    }
//@end
  }
}
