// Attention forward for CPU adapters: every lane keeps ROWS queries and their sums in registers; no workgroup memory, no
// barriers.
//
// Layout: a workgroup is one subgroup of LANES and makes ROWS·LANES rows of y: lane l those of the queries l,
// l + LANES, .... Keys come BLOCK at a time. Loads dominate the cost on these adapters: the lanes load PARTS = LANES / BLOCK
// chunks of all these keys at once, lane l chunk l / BLOCK of key l % BLOCK, and broadcast them. LOADS·PARTS = CHUNKS.
//
// A block of keys is processed at once: y = fade·y + Σ e^(score − largest)·v, fade = e^(largest before − largest after).
// The block's sum is a chain of its own that starts at +0, so that a block of hidden keys adds +0 and multiplies by 1: it
// changes no bit. Chains run over elements of the head, then over keys, in ascending order.
//
// Loads go through the arrays `held` and `passing`, in loops whose length the compiler doesn't know: an unrolled
// load or store becomes dozens of branches, one for each lane's element, and compiling a few hundred takes seconds.
//
// Source: T. Dao, "FlashAttention-2" (arXiv 2307.08691), algorithm 1, with lanes for its blocks of queries.
//@include "attention.wgsl"
enable subgroups;
diagnostic(off, subgroup_uniformity);

@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> rows: array<vec4f>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let at = place(group.x + group.y * groups.x, params.queries, ROWS * LANES);
  if (at.sequence >= params.sequences) { return; }
  let last = params.keys - 1u;
  let kBase = kStart(at);
  let vBase = vStart(at);
  let qBase = qStart(at);
  var held: array<vec4f, ROWS * CHUNKS>;
  var passing: array<vec4f, 2 * LOADS>;
  for (var i = 0u; i < ROWS * params.chunks; i++) {
    let row = min(at.first + i / CHUNKS * LANES + lane, params.queries - 1u);
    held[i] = q[qBase + row * params.qRow + i % CHUNKS];
  }
//@for r in 0..ROWS
  let query{r} = at.first + {r}u * LANES + lane;
//@for i in 0..LOADS
//@for p in 0..PARTS
  let q{r}_{i}_{p} = held[{r} * CHUNKS + {i} * PARTS + {p}];
  var y{r}_{i}_{p} = vec4f(0);
//@end
//@end
  var peak{r} = NOTHING;
  var total{r} = 0.0;
//@end

  for (var j = 0u; j < params.keys; j += BLOCK) {
    let own = min(j + lane % BLOCK, last);
    let kAt = kBase + own * params.kRow + lane / BLOCK;
    let vAt = vBase + own * params.vRow + lane / BLOCK;
//@if MASK_KEYS
    let hidden = mask[at.sequence * params.keys + own];
//@end
//@for h in 0..BLOCK
//@for r in 0..ROWS
    var s{r}_{h} = 0.0;
//@end
//@end
    for (var i = 0u; i < params.chunks / PARTS; i++) {
      passing[i] = k[kAt + i * PARTS];
      passing[i + LOADS] = v[vAt + i * PARTS];
    }
//@for i in 0..LOADS
    {
      let mine = passing[{i}];
//@for p in 0..PARTS
//@for h in 0..BLOCK
      {
        let x = subgroupBroadcast(mine, {h}u + {p}u * BLOCK);
//@for r in 0..ROWS
        s{r}_{h} = fma(q{r}_{i}_{p}.x, x.x, s{r}_{h});
        s{r}_{h} = fma(q{r}_{i}_{p}.y, x.y, s{r}_{h});
        s{r}_{h} = fma(q{r}_{i}_{p}.z, x.z, s{r}_{h});
        s{r}_{h} = fma(q{r}_{i}_{p}.w, x.w, s{r}_{h});
//@end
      }
//@end
//@end
    }
//@end
//@for r in 0..ROWS
    var next{r} = peak{r};
//@for h in 0..BLOCK
    {
      var score = params.scale * s{r}_{h};
//@if MASK_KEYS
      score += subgroupBroadcast(hidden, {h}u);
//@end
//@if MASK_SCORES
      score += hiding(at, min(query{r}, params.queries - 1u), min(j + {h}u, last));
//@end
      s{r}_{h} = select(NOTHING, score, j + {h}u <= last);
      next{r} = max(next{r}, s{r}_{h});
    }
//@end
    let fade{r} = exp1(peak{r} - next{r});
    peak{r} = next{r};
    var weight{r} = 0.0;
//@for h in 0..BLOCK
    s{r}_{h} = exp1(s{r}_{h} - next{r});
    weight{r} += s{r}_{h};
//@end
    total{r} = fma(total{r}, fade{r}, weight{r});
//@end
//@for i in 0..LOADS
    {
      let mine = passing[{i} + LOADS];
//@for p in 0..PARTS
//@for r in 0..ROWS
      var sum{r}_{p} = vec4f(0);
//@end
//@for h in 0..BLOCK
      {
        let x = subgroupBroadcast(mine, {h}u + {p}u * BLOCK);
//@for r in 0..ROWS
        sum{r}_{p} = fma(vec4f(s{r}_{h}), x, sum{r}_{p});
//@end
      }
//@end
//@for r in 0..ROWS
      y{r}_{i}_{p} = fma(y{r}_{i}_{p}, vec4f(fade{r}), sum{r}_{p});
//@end
//@end
    }
//@end
  }

//@for r in 0..ROWS
  let share{r} = 1.0 / total{r};
  if (query{r} < params.queries) { rows[rowsStart(at) + query{r}] = vec4f(peak{r}, share{r}, 0.0, 0.0); }
//@for i in 0..LOADS
//@for p in 0..PARTS
  held[{r} * CHUNKS + {i} * PARTS + {p}] = y{r}_{i}_{p} * share{r};
//@end
//@end
//@end
  let yBase = yStart(at);
  for (var i = 0u; i < ROWS * params.chunks; i++) {
    let row = at.first + i / CHUNKS * LANES + lane;
    if (row < params.queries) { y[yBase + row * params.yRow + i % CHUNKS] = held[i]; }
  }
}
