// Attention forward for GPUs: a workgroup computes ROWS rows of y; K and V pass through workgroup memory, BLOCK keys at a time.
//
// Layout: SLICES threads share a query, each with SLICE·4 elements of it and of its sums in registers; thread t has query
// t % ROWS and slice t / ROWS, so that neighbours read the same words of K and V and neighbouring ones of `parts`. A
// score is the sum of its slices' chains, in order; each thread sums it on its own, twice, to save registers.
//
// A block of keys is processed at once: y = fade·y + Σ e^(score − largest)·v, fade = e^(largest before − largest after).
// The block's sum is a chain of its own that starts at +0, so that a block of hidden keys adds +0 and multiplies by 1: it
// changes no bit.
//
// Source: T. Dao, "FlashAttention-2" (arXiv 2307.08691), algorithm 1.
//@include "attention.wgsl"

@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> rows: array<vec4f>;

const THREADS = ROWS * SLICES;
var<workgroup> tileK: array<vec4f, BLOCK * CHUNKS>;
var<workgroup> tileV: array<vec4f, BLOCK * CHUNKS>;
var<workgroup> parts: array<f32, SLICES * BLOCK * ROWS>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let at = place(group.x + group.y * groups.x, params.queries, ROWS);
  if (at.sequence >= params.sequences) { return; }
  let lane = thread % ROWS;
  let slice = thread / ROWS;
  let first = slice * SLICE;
  let query = at.first + lane;
  let row = min(query, params.queries - 1u);
//@for i in 0..SLICE
  let q{i} = q[qStart(at) + row * params.qRow + first + {i}u];
  var y{i} = vec4f(0);
//@end
  var peak = NOTHING;
  var total = 0.0;

  for (var j = 0u; j < params.keys; j += BLOCK) {
    let count = min(BLOCK, params.keys - j);
    for (var i = thread; i < count * CHUNKS; i += THREADS) {
      let key = j + i / CHUNKS;
      tileK[i] = k[kStart(at) + key * params.kRow + i % CHUNKS];
      tileV[i] = v[vStart(at) + key * params.vRow + i % CHUNKS];
    }
    workgroupBarrier();
    for (var h = 0u; h < count; h++) {
      var part = 0.0;
//@for i in 0..SLICE
      part += dot4(q{i}, tileK[h * CHUNKS + first + {i}u]);
//@end
      parts[(slice * BLOCK + h) * ROWS + lane] = part;
    }
    workgroupBarrier();
    var next = peak;
    for (var h = 0u; h < count; h++) { next = max(next, score(h, lane) + hiding(at, row, j + h)); }
    let fade = exp1(peak - next);
    peak = next;
    var weights = 0.0;
//@for i in 0..SLICE
    var sum{i} = vec4f(0);
//@end
    for (var h = 0u; h < count; h++) {
      let weight = exp1(score(h, lane) + hiding(at, row, j + h) - next);
      weights += weight;
//@for i in 0..SLICE
      sum{i} = fma(vec4f(weight), tileV[h * CHUNKS + first + {i}u], sum{i});
//@end
    }
    total = fma(total, fade, weights);
//@for i in 0..SLICE
    y{i} = fma(y{i}, vec4f(fade), sum{i});
//@end
    workgroupBarrier();
  }

  if (query >= params.queries) { return; }
  let share = 1.0 / total;
  if (slice == 0u) { rows[rowsStart(at) + query] = vec4f(peak, share, 0.0, 0.0); }
//@for i in 0..SLICE
  y[yStart(at) + query * params.yRow + first + {i}u] = y{i} * share;
//@end
}

fn score(h: u32, lane: u32) -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < SLICES; i++) { sum += parts[(i * BLOCK + h) * ROWS + lane]; }
  return params.scale * sum;
}
