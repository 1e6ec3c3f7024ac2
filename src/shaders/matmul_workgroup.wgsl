// Matrix product for GPUs: slices of A and B are staged in workgroup memory, each thread keeps a tile in registers.
//
//   C = alpha * op(A) op(B) + bias        op(A): m x k, op(B): k x n, C: m x n, bias: n entries or absent
//
// Every C element is one chain acc = fma(a, b, acc) over k = 0, 1, ..., started at 0 (ACCUMULATE: at the value in
// C; the host then sets alpha = 1). Tile shape and layout therefore never change a bit of the result on one adapter
// (WGSL leaves it to the adapter whether fma rounds once or twice; Mesa's software driver rounds twice).
//
// Bindings (all strides and offsets in elements; matrix z of the batch has outer = z / batchInner, inner =
// z % batchInner, and starts at Offset + outer * Outer + inner * Inner; stored rows are Row elements apart):
//   a     stored m x k, or k x m with TRANSPOSE_A
//   b     stored k x n, or n x k with TRANSPOSE_B
//   c     m x n
//   bias  read only with HAS_BIAS; otherwise any read-only buffer may be bound
//
// Layout: a workgroup is THREADS x THREADS and makes (THREADS * ROWS) x (THREADS * COLUMNS) elements of C, DEPTH of
// the k axis at a time; thread (x, y) has the rows y, y + THREADS, ... and the columns x, x + THREADS, ..., so that
// neighbours read neighbouring words of workgroup memory and write neighbouring elements of C. Global loads run
// along the axis that is contiguous in the stored matrix; one word of padding keeps the transposing stores of them
// off a single bank. The grid is flat: workgroup x + y * (grid width) makes tile (id % tilesN, id / tilesN % tilesM)
// of matrix id / (tilesN * tilesM).
//
// Source: V. Volkov and J. Demmel, "Benchmarking GPUs to tune dense linear algebra" (2008).

struct Params {
  m: u32, n: u32, k: u32, batchInner: u32,
  aOffset: u32, aRow: u32, aOuter: u32, aInner: u32,
  bOffset: u32, bRow: u32, bOuter: u32, bInner: u32,
  cOffset: u32, cRow: u32, cOuter: u32, cInner: u32,
  biasOffset: u32, biasOuter: u32, biasInner: u32, alpha: f32,
  batch: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;

const TILE_M = THREADS * ROWS;
const TILE_N = THREADS * COLUMNS;
var<workgroup> sliceA: array<array<f32, TILE_M + 1>, DEPTH>;
var<workgroup> sliceB: array<array<f32, TILE_N + 1>, DEPTH>;

@compute @workgroup_size(THREADS, THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let tilesN = (params.n + TILE_N - 1u) / TILE_N;
  let tilesM = (params.m + TILE_M - 1u) / TILE_M;
  let id = group.x + group.y * groups.x;
  let z = id / (tilesN * tilesM);
  if (z >= params.batch) { return; }
  let firstRow = id / tilesN % tilesM * TILE_M;
  let firstColumn = id % tilesN * TILE_N;
  let row = firstRow + local.y;
  let column = firstColumn + local.x;
  let outer = z / params.batchInner;
  let inner = z % params.batchInner;
  let aBase = params.aOffset + outer * params.aOuter + inner * params.aInner;
  let bBase = params.bOffset + outer * params.bOuter + inner * params.bInner;
  let cBase = params.cOffset + outer * params.cOuter + inner * params.cInner;

//@for i in 0..ROWS
//@for j in 0..COLUMNS
  var acc{i}_{j} = 0.0;
  if (ACCUMULATE && row + {i}u * THREADS < params.m && column + {j}u * THREADS < params.n) {
    acc{i}_{j} = c[cBase + (row + {i}u * THREADS) * params.cRow + column + {j}u * THREADS];
  }
//@end
//@end

  for (var k = 0u; k < params.k; k += DEPTH) {
    for (var i = thread; i < TILE_M * DEPTH; i += THREADS * THREADS) {
      if (TRANSPOSE_A) {
        sliceA[i / TILE_M][i % TILE_M] = readA(aBase, firstRow + i % TILE_M, k + i / TILE_M);
      } else {
        sliceA[i % DEPTH][i / DEPTH] = readA(aBase, firstRow + i / DEPTH, k + i % DEPTH);
      }
    }
    for (var i = thread; i < TILE_N * DEPTH; i += THREADS * THREADS) {
      if (TRANSPOSE_B) {
        sliceB[i % DEPTH][i / DEPTH] = readB(bBase, k + i % DEPTH, firstColumn + i / DEPTH);
      } else {
        sliceB[i / TILE_N][i % TILE_N] = readB(bBase, k + i / TILE_N, firstColumn + i % TILE_N);
      }
    }
    workgroupBarrier();
    for (var kk = 0u; kk < DEPTH; kk++) {
//@for j in 0..COLUMNS
      let b{j} = sliceB[kk][local.x + {j}u * THREADS];
//@end
//@for i in 0..ROWS
      let a{i} = sliceA[kk][local.y + {i}u * THREADS];
//@for j in 0..COLUMNS
      acc{i}_{j} = fma(a{i}, b{j}, acc{i}_{j});
//@end
//@end
    }
    workgroupBarrier();
  }

  let biasBase = params.biasOffset + outer * params.biasOuter + inner * params.biasInner;
//@for j in 0..COLUMNS
  if (column + {j}u * THREADS < params.n) {
    var shift = 0.0;
    if (HAS_BIAS) { shift = bias[biasBase + column + {j}u * THREADS]; }
    let at = cBase + column + {j}u * THREADS;
//@for i in 0..ROWS
    if (row + {i}u * THREADS < params.m) {
      c[at + (row + {i}u * THREADS) * params.cRow] = finish(acc{i}_{j}, shift);
    }
//@end
  }
//@end
}

// Over the k edge the product must be -0, the one number that leaves every sum as it is (chosen by its bits: as a
// constant it loses its sign); rows and columns over the edge read the last one: their sums are never stored.
const MINUS_ZERO = 0x80000000u;

fn readA(base: u32, row: u32, k: u32) -> f32 {
  let r = min(row, params.m - 1u);
  let s = min(k, params.k - 1u);
  return select(0.0, a[base + select(r * params.aRow + s, s * params.aRow + r, TRANSPOSE_A)], k < params.k);
}

fn readB(base: u32, k: u32, column: u32) -> f32 {
  let s = min(k, params.k - 1u);
  let j = min(column, params.n - 1u);
  let value = b[base + select(s * params.bRow + j, j * params.bRow + s, TRANSPOSE_B)];
  return bitcast<f32>(select(MINUS_ZERO, bitcast<u32>(value), k < params.k));
}

// An explicit fma: whether an adapter rounds it once or twice, it then does so in every variant.
fn finish(sum: f32, shift: f32) -> f32 {
  if (HAS_BIAS) { return fma(params.alpha, sum, shift); }
  return params.alpha * sum;
}
