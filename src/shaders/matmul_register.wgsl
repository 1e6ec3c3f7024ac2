// Matrix product for CPU adapters: every thread keeps a tile of C in registers; no workgroup memory, no barriers.
//
//   C = alpha * op(A) op(B) + bias        op(A): m x k, op(B): k x n, C: m x n, bias: n entries or absent
//
// Every C element is one chain acc = fma(a, b, acc) over k = 0, 1, ..., started at 0 (ACCUMULATE: at the value in
// C; the host then sets alpha = 1). Tile shape and layout therefore never change a bit of the result on one adapter
// (WGSL leaves it to the adapter whether fma rounds once or twice; Mesa's software driver rounds twice).
//
// Bindings (all strides and offsets in elements; matrix z of the batch has outer = z / batchInner, inner =
// z % batchInner, and starts at Offset + outer * Outer + inner * Inner; stored rows are Row elements apart):
//   a     stored m x k, or k x m with TRANSPOSE_A; VEC_A (A not transposed only): it is read by four elements of k at
//         once, for which aOffset, aRow, aOuter, aInner and the bound range's length are multiples of 4; k need not be
//   b     stored k x n, or n x k with TRANSPOSE_B; VEC_B (B transposed only): the same of B
//   c     m x n
//   bias  read only with HAS_BIAS; otherwise any read-only buffer may be bound
//
// Layout: a workgroup is LANES threads in a row and makes (A_LOADS * SHARE) x (COLUMNS * LANES) elements of C; lane l
// has the columns l, l + LANES, ... of all those rows. Loads are what costs on these adapters. With SHARED, SHARE =
// LANES = the subgroup size: the lanes load one row of A each and broadcast it, so that no element of the tile's A
// or B is loaded twice. Without, SHARE = 1 and each thread loads its A_LOADS rows itself. The grid is flat:
// workgroup x + y * (grid width) makes tile (id % tilesN, id / tilesN % tilesM) of matrix id / (tilesN * tilesM).
//
// Source: register blocking after Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008);
// the subgroup's broadcast stands for the cache that a CPU kernel would pack A into.
//@if SHARED
enable subgroups;
diagnostic(off, subgroup_uniformity);
//@end

struct Params {
  m: u32, n: u32, k: u32, batchInner: u32,
  aOffset: u32, aRow: u32, aOuter: u32, aInner: u32,
  bOffset: u32, bRow: u32, bOuter: u32, bInner: u32,
  cOffset: u32, cRow: u32, cOuter: u32, cInner: u32,
  biasOffset: u32, biasOuter: u32, biasInner: u32, alpha: f32,
  batch: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
//@if VEC_A
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
fn loadA(i: u32) -> f32 { return a[i / 4u][i % 4u]; }
//@else
@group(0) @binding(1) var<storage, read> a: array<f32>;
fn loadA(i: u32) -> f32 { return a[i]; }
//@end
//@if VEC_B
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
fn loadB(i: u32) -> f32 { return b[i / 4u][i % 4u]; }
//@else
@group(0) @binding(2) var<storage, read> b: array<f32>;
fn loadB(i: u32) -> f32 { return b[i]; }
//@end
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
//@if SHARED
  @builtin(subgroup_invocation_id) lane: u32,
//@else
  @builtin(local_invocation_id) local: vec3u,
//@end
) {
//@if SHARED
  let aLane = lane;
//@else
  let lane = local.x;
  let aLane = 0u;
//@end
  let tilesN = (params.n + COLUMNS * LANES - 1u) / (COLUMNS * LANES);
  let tilesM = (params.m + A_LOADS * SHARE - 1u) / (A_LOADS * SHARE);
  let id = group.x + group.y * groups.x;
  let z = id / (tilesN * tilesM);
  if (z >= params.batch) { return; }
  let row = id / tilesN % tilesM * (A_LOADS * SHARE);
  let column = id % tilesN * (COLUMNS * LANES) + lane;
  let outer = z / params.batchInner;
  let inner = z % params.batchInner;
  let aBase = params.aOffset + outer * params.aOuter + inner * params.aInner;
  let bBase = params.bOffset + outer * params.bOuter + inner * params.bInner;
  let cBase = params.cOffset + outer * params.cOuter + inner * params.cInner;

  // Where op(A)[row, 0] and op(B)[0, column] lie, and how far the next k is. Rows and columns over the edge read the
  // last one: their sums are never stored.
  let aStride = select(1u, params.aRow, TRANSPOSE_A);
  let bStride = select(params.bRow, 1u, TRANSPOSE_B);
//@for q in 0..A_LOADS
  let a{q} = aBase + min(row + {q}u * SHARE + aLane, params.m - 1u) * select(params.aRow, 1u, TRANSPOSE_A);
//@end
//@for j in 0..COLUMNS
  let b{j} = bBase + min(column + {j}u * LANES, params.n - 1u) * select(1u, params.bRow, TRANSPOSE_B);
//@end

//@for q in 0..A_LOADS
//@for s in 0..SHARE
//@for j in 0..COLUMNS
  var acc{q}_{s}_{j} = 0.0;
  if (ACCUMULATE && row + {q}u * SHARE + {s}u < params.m && column + {j}u * LANES < params.n) {
    acc{q}_{s}_{j} = c[cBase + (row + {q}u * SHARE + {s}u) * params.cRow + column + {j}u * LANES];
  }
//@end
//@end
//@end

//@if SHARED
  // Four k at a time, rows outside and k inside, so that an accumulator is fetched once for four multiply-adds. This
  // pays only where loads are shared: a thread that loads all its rows is slower this way than one k at a time.
  let wholeK = params.k / 4u * 4u;
  for (var k = 0u; k < wholeK; k += 4u) {
//@for q in 0..A_LOADS
//@if VEC_A
    let a{q}_k = a[(a{q} + k) / 4u];
//@else
    let a{q}_k = vec4f(
      loadA(a{q} + k * aStride),
      loadA(a{q} + (k + 1u) * aStride),
      loadA(a{q} + (k + 2u) * aStride),
      loadA(a{q} + (k + 3u) * aStride),
    );
//@end
//@end
//@for j in 0..COLUMNS
//@if VEC_B
    let b{j}_k = b[(b{j} + k) / 4u];
//@else
    let b{j}_k = vec4f(
      loadB(b{j} + k * bStride),
      loadB(b{j} + (k + 1u) * bStride),
      loadB(b{j} + (k + 2u) * bStride),
      loadB(b{j} + (k + 3u) * bStride),
    );
//@end
//@end
//@for q in 0..A_LOADS
//@for s in 0..SHARE
//@for kk in 0..4
    {
      let x = subgroupBroadcast(a{q}_k[{kk}], {s}u);
//@for j in 0..COLUMNS
      acc{q}_{s}_{j} = fma(x, b{j}_k[{kk}], acc{q}_{s}_{j});
//@end
    }
//@end
//@end
//@end
  }
//@else
  let wholeK = 0u;
//@end
  for (var k = wholeK; k < params.k; k++) {
//@for q in 0..A_LOADS
    let a{q}_k = loadA(a{q} + k * aStride);
//@end
//@for j in 0..COLUMNS
    let b{j}_k = loadB(b{j} + k * bStride);
//@end
//@for q in 0..A_LOADS
//@for s in 0..SHARE
    {
//@if SHARED
      let x = subgroupBroadcast(a{q}_k, {s}u);
//@else
      let x = a{q}_k;
//@end
//@for j in 0..COLUMNS
      acc{q}_{s}_{j} = fma(x, b{j}_k, acc{q}_{s}_{j});
//@end
    }
//@end
//@end
  }

  let biasBase = params.biasOffset + outer * params.biasOuter + inner * params.biasInner;
//@for j in 0..COLUMNS
  if (column + {j}u * LANES < params.n) {
    var shift = 0.0;
    if (HAS_BIAS) { shift = bias[biasBase + column + {j}u * LANES]; }
    let at = cBase + column + {j}u * LANES;
//@for q in 0..A_LOADS
//@for s in 0..SHARE
    if (row + {q}u * SHARE + {s}u < params.m) {
      c[at + (row + {q}u * SHARE + {s}u) * params.cRow] = finish(acc{q}_{s}_{j}, shift);
    }
//@end
//@end
  }
//@end
}

// An explicit fma: whether an adapter rounds it once or twice, it then does so in every variant.
fn finish(sum: f32, shift: f32) -> f32 {
  if (HAS_BIAS) { return fma(params.alpha, sum, shift); }
  return params.alpha * sum;
}
