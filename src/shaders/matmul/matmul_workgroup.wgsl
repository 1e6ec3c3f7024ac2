// Matrix product for GPUs: slices of A and B are staged in workgroup memory, each thread keeps a tile in registers.
//
//   C = act(alpha * op(A) op(B) [+ op(A1) op(B1)] + bias) [+ residual]     and, on request, slope = act'(...)
//
// Formula, bindings and strides are those of matmul_register.wgsl, and so is the order of the sums: every C element is one
// chain acc = fma(a, b, acc), so that tile shape and layout never change a bit of the result on one adapter. Only SPLIT does: a
// workgroup then sums SPLIT of the k axis only and matmul_sum.wgsl adds up the parts.
//
// Layout: a workgroup is THREADS x THREADS and computes (THREADS * ROWS) x (THREADS * COLUMNS) elements of C, DEPTH of
// the k axis at a time; thread (x, y) has the rows y, y + THREADS, ... and the columns x, x + THREADS, ..., so that
// neighbours read neighbouring words of workgroup memory and write neighbouring elements of C. Global loads run
// along the axis that is contiguous in the stored matrix; one word of padding keeps the transposing stores of them
// off a single bank. The grid is flat: workgroup x + y * (grid width) makes tile (id % tilesN, id / tilesN % tilesM)
// of matrix id / (tilesN * tilesM); with SPLIT, of part z % splits of matrix z / splits.
//
// Source: V. Volkov and J. Demmel, "Benchmarking GPUs to tune dense linear algebra" (2008).
//@include "matmul.wgsl"

@group(0) @binding(1) var<storage, read> a0: array<f32>;
@group(0) @binding(2) var<storage, read> b0: array<OneB>;
fn loadB0(i: u32) -> f32 { return one(b0[i / PER_B], i); }
//@if INT8_B
fn scaleB(i: u32) -> f32 { return bitcast<f32>(b0[params.terms[0].bScales + i]); }
fn scaleA0(k: u32) -> f32 { return scaleB(k); }
fn scaleA1(k: u32) -> f32 { return 1.0; }
//@end
//@if SECOND
@group(0) @binding(5) var<storage, read> a1: array<f32>;
@group(0) @binding(6) var<storage, read> b1: array<f32>;
fn loadB1(i: u32) -> f32 { return b1[i]; }
//@end

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
  let tile = tile_of(group.x + group.y * groups.x);
  if (tile.z >= params.batch * params.splits) { return; }
  let z = tile.z / params.splits;
  let split = tile.z % params.splits;
  let outer = z / params.batchInner;
  let inner = z % params.batchInner;
  let row = tile.y + local.y;
  let column = tile.x + local.x;
  // The parts of a sum lie one after another, [splits, batch, m, n].
  let cBase = params.cOffset + outer * params.cOuter + inner * params.cInner + split * params.batch * params.m * params.n;

//@for i in 0..ROWS
//@for j in 0..COLUMNS
  var acc{i}_{j} = 0.0;
//@if ACCUMULATE
  if (row + {i}u * THREADS < params.m && column + {j}u * THREADS < params.n) {
    acc{i}_{j} = c[cBase + (row + {i}u * THREADS) * params.cRow + column + {j}u * THREADS];
  }
//@end
//@end
//@end

//@for t in 0..TERMS
  {
    let term = params.terms[{t}];
    let aBase = term.aOffset + outer * term.aOuter + inner * term.aInner;
    let bBase = term.bOffset + outer * term.bOuter + inner * term.bInner;
    var first = 0u;
    var last = term.k;
    if (SPLIT > 0) {
      first = split * SPLIT;
      last = min(term.k, first + SPLIT);
    }
    for (var k = first; k < last; k += DEPTH) {
      for (var i = thread; i < TILE_M * DEPTH; i += THREADS * THREADS) {
        if (TRANSPOSE_A) {
          sliceA[i / TILE_M][i % TILE_M] = read_a{t}(aBase, tile.y + i % TILE_M, k + i / TILE_M, last);
        } else {
          sliceA[i % DEPTH][i / DEPTH] = read_a{t}(aBase, tile.y + i / DEPTH, k + i % DEPTH, last);
        }
      }
      for (var i = thread; i < TILE_N * DEPTH; i += THREADS * THREADS) {
        if (TRANSPOSE_B) {
          sliceB[i % DEPTH][i / DEPTH] = read_b{t}(bBase, k + i % DEPTH, tile.x + i / DEPTH, last);
        } else {
          sliceB[i / TILE_N][i % TILE_N] = read_b{t}(bBase, k + i / TILE_N, tile.x + i % TILE_N, last);
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
//@if SCALE_C
    if ({t}u == 0u) {
//@for j in 0..COLUMNS
      let scale{j} = scaleB(min(column + {j}u * THREADS, params.n - 1u));
//@for i in 0..ROWS
      acc{i}_{j} *= scale{j};
//@end
//@end
    }
//@end
  }
//@end

  let biasBase = params.biasOuter * outer + params.biasInner * inner;
  let alpha = alpha_of(outer);
//@for j in 0..COLUMNS
  if (column + {j}u * THREADS < params.n) {
    let shift = bias_of(biasBase + column + {j}u * THREADS);
    let at = cBase + row * params.cRow + column + {j}u * THREADS;
//@for i in 0..ROWS
    if (row + {i}u * THREADS < params.m) {
      finish(acc{i}_{j}, alpha, shift, at + {i}u * THREADS * params.cRow);
    }
//@end
  }
//@end

//@if ACTIVATION
  // What this thread has just stored, once more: in registers the function's text would be repeated for every element.
  for (var i = 0u; i < TILE_M && row + i < params.m; i += THREADS) {
    for (var j = 0u; j < TILE_N && column + j < params.n; j += THREADS) {
      let at = cBase + (row + i) * params.cRow + column + j;
      let activated = activate(vec4f(c[at]));
      store_activated(activated.value.x, activated.slope.x, at);
    }
  }
//@end
}

// Over the k edge the product must be -0, the one number that leaves every sum as it is (chosen by its bits: as a
// constant it loses its sign); rows and columns over the edge read the last one: their sums are never stored.
const MINUS_ZERO = 0x80000000u;

//@for t in 0..TERMS
fn read_a{t}(base: u32, row: u32, k: u32, last: u32) -> f32 {
  let r = min(row, params.m - 1u);
  let s = min(k, last - 1u);
  let at = base + select(r * params.terms[{t}].aRow + s, s * params.terms[{t}].aRow + r, TRANSPOSE_A);
//@if SCALE_A
  return select(0.0, a{t}[at] * scaleA{t}(s), k < last);
//@else
  return select(0.0, a{t}[at], k < last);
//@end
}

fn read_b{t}(base: u32, k: u32, column: u32, last: u32) -> f32 {
  let s = min(k, last - 1u);
  let j = min(column, params.n - 1u);
  let at = base + select(s * params.terms[{t}].bRow + j, j * params.terms[{t}].bRow + s, TRANSPOSE_B);
  return bitcast<f32>(select(MINUS_ZERO, bitcast<u32>(loadB{t}(at)), k < last));
}
//@end
