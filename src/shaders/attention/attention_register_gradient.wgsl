// Gradients of attention for CPU adapters; layout as in attention_register.wgsl, the rest as in attention_gradient.wgsl.
//@include "attention_gradient.wgsl"
enable subgroups;
diagnostic(off, subgroup_uniformity);

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let at = place(group.x + group.y * groups.x, lengthA(), ROWS * LANES);
  if (at.sequence >= params.sequences) { return; }
  let last = lengthB() - 1u;
  var held: array<vec4f, ROWS * CHUNKS>;
  var dHeld: array<vec4f, ROWS * CHUNKS>;
  var passing: array<vec4f, 2 * LOADS>;
//@if OF_KEYS
//@else
  var delta: array<f32, ROWS>;
//@end
  for (var i = 0u; i < ROWS * params.chunks; i++) {
    let row = min(at.first + i / CHUNKS * LANES + lane, lengthA() - 1u);
    held[i] = loadA(at, row, i % CHUNKS);
    let x = loadDA(at, row, i % CHUNKS);
    dHeld[i] = x;
//@if OF_KEYS
//@else
    delta[i / CHUNKS] += dot4(y[yStart(at) + row * params.yRow + i % CHUNKS], x);
//@end
  }
//@for r in 0..ROWS
  let index{r} = at.first + {r}u * LANES + lane;
  let row{r} = min(index{r}, lengthA() - 1u);
//@if OF_KEYS
//@if MASK_KEYS
  let shift{r} = mask[at.sequence * params.keys + row{r}];
//@end
//@else
  var known{r} = rows[rowsStart(at) + row{r}];
  known{r}.z = delta[{r}];
  if (index{r} < params.queries) { rows[rowsStart(at) + index{r}] = known{r}; }
//@end
//@for i in 0..LOADS
//@for p in 0..PARTS
  let a{r}_{i}_{p} = held[{r} * CHUNKS + {i} * PARTS + {p}];
  let da{r}_{i}_{p} = dHeld[{r} * CHUNKS + {i} * PARTS + {p}];
  var sum{r}_{i}_{p} = vec4f(0);
//@if OF_KEYS
  var dSum{r}_{i}_{p} = vec4f(0);
//@end
//@end
//@end
//@end

  for (var j = 0u; j < lengthB(); j += BLOCK) {
    let own = min(j + lane % BLOCK, last);
//@if OF_KEYS
    let ownRow = rows[rowsStart(at) + own];
//@else
//@if MASK_KEYS
    let hidden = mask[at.sequence * params.keys + own];
//@end
//@end
//@for h in 0..BLOCK
//@for r in 0..ROWS
    var s{r}_{h} = 0.0;
    var d{r}_{h} = 0.0;
//@end
//@end
    for (var i = 0u; i < params.chunks / PARTS; i++) {
      passing[i] = loadB(at, own, lane / BLOCK + i * PARTS);
      passing[i + LOADS] = loadDB(at, own, lane / BLOCK + i * PARTS);
    }
//@for i in 0..LOADS
    let b{i} = passing[{i}];
    let db{i} = passing[{i} + LOADS];
//@for p in 0..PARTS
//@for h in 0..BLOCK
    {
      let x = subgroupBroadcast(b{i}, {h}u + {p}u * BLOCK);
      let dx = subgroupBroadcast(db{i}, {h}u + {p}u * BLOCK);
//@for r in 0..ROWS
      s{r}_{h} = fma(a{r}_{i}_{p}.x, x.x, s{r}_{h});
      s{r}_{h} = fma(a{r}_{i}_{p}.y, x.y, s{r}_{h});
      s{r}_{h} = fma(a{r}_{i}_{p}.z, x.z, s{r}_{h});
      s{r}_{h} = fma(a{r}_{i}_{p}.w, x.w, s{r}_{h});
      d{r}_{h} = fma(da{r}_{i}_{p}.x, dx.x, d{r}_{h});
      d{r}_{h} = fma(da{r}_{i}_{p}.y, dx.y, d{r}_{h});
      d{r}_{h} = fma(da{r}_{i}_{p}.z, dx.z, d{r}_{h});
      d{r}_{h} = fma(da{r}_{i}_{p}.w, dx.w, d{r}_{h});
//@end
    }
//@end
//@end
//@end
//@for h in 0..BLOCK
//@if OF_KEYS
    let known{h} = subgroupBroadcast(ownRow, {h}u);
//@end
//@for r in 0..ROWS
    {
      var score = params.scale * s{r}_{h};
//@if OF_KEYS
      let known = known{h};
//@if MASK_KEYS
      score += shift{r};
//@end
//@if MASK_SCORES
      score += hiding(at, min(j + {h}u, last), row{r});
//@end
//@else
      let known = known{r};
//@if MASK_KEYS
      score += subgroupBroadcast(hidden, {h}u);
//@end
//@if MASK_SCORES
      score += hiding(at, row{r}, min(j + {h}u, last));
//@end
//@end
      s{r}_{h} = select(0.0, exp1(score - known.x) * known.y, j + {h}u <= last);
      d{r}_{h} = s{r}_{h} * (d{r}_{h} - known.z);
    }
//@end
//@end
//@for i in 0..LOADS
//@for p in 0..PARTS
    {
//@for r in 0..ROWS
      var part{r} = vec4f(0);
//@if OF_KEYS
      var dPart{r} = vec4f(0);
//@end
//@end
//@for h in 0..BLOCK
      {
        let x = subgroupBroadcast(b{i}, {h}u + {p}u * BLOCK);
//@for r in 0..ROWS
        part{r} = fma(vec4f(d{r}_{h}), x, part{r});
//@end
      }
//@if OF_KEYS
      {
        let dx = subgroupBroadcast(db{i}, {h}u + {p}u * BLOCK);
//@for r in 0..ROWS
        dPart{r} = fma(vec4f(s{r}_{h}), dx, dPart{r});
//@end
      }
//@end
//@end
//@for r in 0..ROWS
      sum{r}_{i}_{p} += part{r};
//@if OF_KEYS
      dSum{r}_{i}_{p} += dPart{r};
//@end
//@end
    }
//@end
//@end
  }

//@for r in 0..ROWS
//@for i in 0..LOADS
//@for p in 0..PARTS
  held[{r} * CHUNKS + {i} * PARTS + {p}] = params.scale * sum{r}_{i}_{p};
//@if OF_KEYS
  dHeld[{r} * CHUNKS + {i} * PARTS + {p}] = dSum{r}_{i}_{p};
//@end
//@end
//@end
//@end
  for (var i = 0u; i < ROWS * params.chunks; i++) {
    let row = at.first + i / CHUNKS * LANES + lane;
    if (row < lengthA()) { storeA(at, row, i % CHUNKS, held[i], dHeld[i]); }
  }
}
