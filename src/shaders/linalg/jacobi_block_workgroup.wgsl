// As jacobi_block.wgsl, for GPUs: a workgroup of 256 threads takes 32 rows, 16 at the top and 16 at the bottom, through
// workgroup memory. Bindings, tournament and splits are the same, with blocks of 16 rows.
//
// 1. Thread (i, j) sums the product of top i and bottom j; a tile of 8 vec4s of all rows is loaded at a time.
// 2. Two-sided Jacobi on the Gram matrix, 16 pairs at once, in 16 rounds of three steps: the angles, the columns of gram and w,
//    the rows of gram.
// 3. The rows become wᵀ·rows, tile by tile; thread (i, q) makes vec4 q of row i.
//@include "rotation.wgsl"

struct Params { blocks: u32, head: u32, width: u32, round: u32, sweep: u32, tolerance: f32, split: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> rows: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> cosines: array<atomic<u32>>;

// Rows and columns 0 … 15 of these are the top, 16 … 31 the bottom.
var<workgroup> tile: array<array<vec4f, 8>, 32>;
var<workgroup> gram: array<array<f32, 32>, 32>;
var<workgroup> w: array<array<f32, 32>, 32>;
var<workgroup> turns: array<vec2f, 16>;
var<workgroup> largest: atomic<u32>;
var<workgroup> shared_cosine: f32;

fn row_of(k: u32, first: u32, second: u32) -> u32 {
  let below = (1u << params.split) - 1u;
  let number = (((k % 16u) & ~below) << 1u) | (k & below) | ((k / 16u) << params.split);
  return select(first, second, number >= 16u) * 16u + number % 16u;
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let slot = params.sweep * groups.z + group.z;
  if (thread == 0u) { shared_cosine = bitcast<f32>(atomicLoad(&cosines[slot - groups.z])); }
  if (workgroupUniformLoad(&shared_cosine) <= params.tolerance) { return; }
  let circle = params.blocks - 1u;
  let first = (params.round + group.x) % circle;
  let second = select((params.round + circle - group.x) % circle, circle, group.x == 0u);
  let loaded = thread / 8u;
  let lane = thread % 8u;
  let base = (group.z * params.blocks * 16u + row_of(loaded, first, second)) * params.width;

  let i = thread / 16u;
  let j = thread % 16u;
  var product = 0.0;
  var square = 0.0;
  for (var q = 0u; q < params.head; q += 8u) {
    workgroupBarrier();
    tile[loaded][lane] = vec4f(0);
    if (q + lane < params.head) { tile[loaded][lane] = rows[base + q + lane]; }
    workgroupBarrier();
    for (var e = 0u; e < 8u; e++) {
      product += dot(tile[i][e], tile[16u + j][e]);
      if (thread < 32u) { square += dot(tile[thread][e], tile[thread][e]); }
    }
  }
  gram[i][16u + j] = product;
  gram[16u + j][i] = product;
  gram[i][j] = 0.0;
  gram[16u + i][16u + j] = 0.0;
  for (var k = thread; k < 1024u; k += 256u) { w[k / 32u][k % 32u] = f32(k / 32u == k % 32u); }
  workgroupBarrier();
  if (thread < 32u) { gram[thread][thread] = square; }
  workgroupBarrier();
  let squares = vec2f(gram[i][i], gram[16u + j][16u + j]);
  let inverse = select(vec2f(0), 1.0 / sqrt(squares), squares > vec2f(negligible));
  atomicMax(&largest, bitcast<u32>(abs(product) * inverse.x * inverse.y));
  workgroupBarrier();
  if (thread == 0u) {
    shared_cosine = bitcast<f32>(atomicLoad(&largest));
    if (shared_cosine > 0.0) { atomicMax(&cosines[slot], atomicLoad(&largest)); }
  }
  // Left alone, rows just below the tolerance come out of the others' rotations just above it, and cost a sweep.
  let enough = 0.25 * params.tolerance;
  if (workgroupUniformLoad(&shared_cosine) <= enough) { return; }

  for (var round = 0u; round < 16u; round++) {
    if (thread < 16u) {
      let b = 16u + (thread + round) % 16u;
      turns[thread] = rotation_of(gram[thread][thread], gram[b][b], gram[thread][b], enough);
    }
    workgroupBarrier();
    let t = j;
    let b = 16u + (j + round) % 16u;
    let turn = turns[j];
    for (var r = i; r < 32u; r += 16u) {
      let x = gram[r][t];
      let y = gram[r][b];
      gram[r][t] = fma(-turn.x, fma(turn.y, x, y), x);
      gram[r][b] = fma(turn.x, fma(-turn.y, y, x), y);
      let wx = w[r][t];
      let wy = w[r][b];
      w[r][t] = fma(-turn.x, fma(turn.y, wx, wy), wx);
      w[r][b] = fma(turn.x, fma(-turn.y, wy, wx), wy);
    }
    workgroupBarrier();
    for (var c = i; c < 32u; c += 16u) {
      let x = gram[t][c];
      let y = gram[b][c];
      gram[t][c] = fma(-turn.x, fma(turn.y, x, y), x);
      gram[b][c] = fma(turn.x, fma(-turn.y, y, x), y);
    }
    workgroupBarrier();
  }

  for (var q = 0u; q < params.width; q += 8u) {
    workgroupBarrier();
    if (q + lane < params.width) { tile[loaded][lane] = rows[base + q + lane]; }
    workgroupBarrier();
    if (q + lane < params.width) {
      var sum = vec4f(0);
      for (var k = 0u; k < 32u; k++) { sum = fma(vec4f(w[k][loaded]), tile[k][lane], sum); }
      rows[base + q + lane] = sum;
    }
  }
}
