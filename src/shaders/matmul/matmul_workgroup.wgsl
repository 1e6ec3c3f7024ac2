// Matrix product for GPUs: slices of A and B are staged in workgroup memory, each thread keeps a tile in registers.
//
//   C = act(alpha * op(A) op(B) [+ op(A1) op(B1)] + bias) [+ residual]     and, on request, slope = act'(...)
//
// Formula, bindings and strides are those of matmul_register.wgsl, and so is the order of the sums: every C element is one
// chain acc = fma(a, b, acc), so that tile shape and layout never change a bit of the result on one adapter. Only SPLIT does: a
// workgroup then sums SPLIT of the k axis only and matmul_sum.wgsl adds up the parts.
//
// Layout: a workgroup is THREADS x THREADS and computes TILE_M x TILE_N elements of C, DEPTH of the k axis at a time. Thread
// (x, y) has GROUPS_M groups of WIDTH_M neighbouring rows, the groups y, y + THREADS, ..., and likewise columns by x. With
// WIDTH_M and WIDTH_N 4 (WIDE_M, WIDE_N) a group is one wide read of workgroup memory: 2 + 2 of them feed the 64 multiply-adds
// of an 8 x 8 tile, where single elements take 16 reads. The grid is flat: workgroup x + y * (grid width) makes tile
// (id % tilesN, id / tilesN % tilesM) of matrix id / (tilesN * tilesM); with SPLIT, of part z % splits of matrix z / splits.
//
// A and B come in blocks of 4 x 4, at most one a thread, so (TILE_M + TILE_N) * DEPTH <= 4096. They are read along the axis that
// is contiguous in the stored matrix (VECTORS: four elements at once, as with VEC_A and VEC_B there) and transposed in registers
// where that is k. Eight threads in a row have neighbouring blocks of rows, so that they write to different banks, the next
// eight those of the next k, so that a warp reads whole sectors of memory. The blocks of the next step are read before the
// arithmetic of this one and stored after it; with SLICES 2 into the other slice, and one barrier a step is enough.
//
// Source: V. Volkov and J. Demmel, "Benchmarking GPUs to tune dense linear algebra" (2008).
//@include "matmul.wgsl"

// fourA, fourB: elements at, ..., at + 3 of a stored row that begins at `row` and has `limit` elements; over that, the last ones.
//@if VECTORS
@group(0) @binding(1) var<storage, read> a0: array<vec4f>;
@group(0) @binding(2) var<storage, read> b0: array<FourB>;
fn fourA0(row: u32, at: u32, limit: u32) -> vec4f { return a0[(row + min(at, (limit - 1u) / 4u * 4u)) / 4u]; }
fn fourB0(row: u32, at: u32, limit: u32) -> vec4f { return four(b0[(row + min(at, (limit - 1u) / 4u * 4u)) / 4u]); }
//@else
@group(0) @binding(1) var<storage, read> a0: array<f32>;
@group(0) @binding(2) var<storage, read> b0: array<OneB>;
fn oneA0(i: u32) -> f32 { return a0[i]; }
fn oneB0(i: u32) -> f32 { return one(b0[i / PER_B], i); }
//@end
//@if SECOND
@group(0) @binding(5) var<storage, read> a1: array<f32>;
@group(0) @binding(6) var<storage, read> b1: array<f32>;
fn oneA1(i: u32) -> f32 { return a1[i]; }
fn oneB1(i: u32) -> f32 { return b1[i]; }
//@end
//@for t in FIRST_SINGLE..TERMS
//@for x in A, B
fn four{x}{t}(row: u32, at: u32, limit: u32) -> vec4f {
  let i = vec4u(row) + min(vec4u(at) + vec4u(0, 1, 2, 3), vec4u(limit - 1u));
  return vec4f(one{x}{t}(i.x), one{x}{t}(i.y), one{x}{t}(i.z), one{x}{t}(i.w));
}
//@end
//@end
//@if INT8_B
fn scaleB(i: u32) -> f32 { return bitcast<f32>(b0[params.terms[0].bScales + i]); }
fn scaleA0(k: u32) -> f32 { return scaleB(k); }
fn scaleA1(k: u32) -> f32 { return 1.0; }
//@end

const TILE_M = THREADS * WIDTH_M * GROUPS_M;
const TILE_N = THREADS * WIDTH_N * GROUPS_N;
const K_BLOCKS = DEPTH / 4u;
const BLOCKS_A = TILE_M / 4u * K_BLOCKS;
const BLOCKS_B = TILE_N / 4u * K_BLOCKS;

// Slices of A and B: rows of them run along m and n. Single elements have a word of padding between rows.
//@if WIDE_M
const ROW_A = TILE_M / 4u;
var<workgroup> sliceA: array<vec4f, SLICES * DEPTH * ROW_A>;
fn store_a(k: u32, block: u32, x: vec4f) { sliceA[k * ROW_A + block] = x; }
//@else
const ROW_A = TILE_M + 1u;
var<workgroup> sliceA: array<f32, SLICES * DEPTH * ROW_A>;
fn store_a(k: u32, block: u32, x: vec4f) {
  let at = k * ROW_A + 4u * block;
//@for i in 0..4
  sliceA[at + {i}u] = x[{i}];
//@end
}
//@end
//@if WIDE_N
const ROW_B = TILE_N / 4u;
var<workgroup> sliceB: array<vec4f, SLICES * DEPTH * ROW_B>;
fn store_b(k: u32, block: u32, x: vec4f) { sliceB[k * ROW_B + block] = x; }
//@else
const ROW_B = TILE_N + 1u;
var<workgroup> sliceB: array<f32, SLICES * DEPTH * ROW_B>;
fn store_b(k: u32, block: u32, x: vec4f) {
  let at = k * ROW_B + 4u * block;
//@for i in 0..4
  sliceB[at + {i}u] = x[{i}];
//@end
}
//@end

// Four of k by four rows of A or columns of B.
struct Block {
//@for i in 0..4
  k{i}: vec4f,
//@end
}

// Where block number `i` of a slice lies: its k, and its row of A or column of B, both over 4.
fn place_of(i: u32, neighbours: u32) -> vec2u {
  return vec2u(i / neighbours % K_BLOCKS, i % neighbours + i / (neighbours * K_BLOCKS) * neighbours);
}

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
  let row = tile.y + local.y * WIDTH_M;
  let column = tile.x + local.x * WIDTH_N;
  // The parts of a sum lie one after another, [splits, batch, m, n].
  let cBase = params.cOffset + outer * params.cOuter + inner * params.cInner + split * params.batch * params.m * params.n;
  let loadsA = thread < BLOCKS_A;
  let loadsB = !loadsA && thread < BLOCKS_A + BLOCKS_B;
  var place = place_of(thread, min(8u, TILE_M / 4u));
  if (!loadsA) { place = place_of(thread - BLOCKS_A, min(8u, TILE_N / 4u)); }

//@for g in 0..GROUPS_M
//@for w in 0..WIDTH_M
//@for h in 0..GROUPS_N
//@for v in 0..WIDTH_N
  var acc{g}_{w}_{h}_{v} = 0.0;
//@if ACCUMULATE
  if (row + row_of({g}u, {w}u) < params.m && column + column_of({h}u, {v}u) < params.n) {
    acc{g}_{w}_{h}_{v} = c[cBase + (row + row_of({g}u, {w}u)) * params.cRow + column + column_of({h}u, {v}u)];
  }
//@end
//@end
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
    // The first turn only fills a slice, the last one only sums.
    var filling = 0u;
    for (var k = first; k < last + DEPTH; k += DEPTH) {
      var block: Block;
      if (k < last && loadsA) { block = read_a{t}(aBase, tile.y + 4u * place.y, k + 4u * place.x, last); }
      if (k < last && loadsB) { block = read_b{t}(bBase, k + 4u * place.x, tile.x + 4u * place.y, last); }
      if (k > first) {
        let source = (SLICES - 1u - filling) * DEPTH;
        for (var kk = source; kk < source + DEPTH; kk++) {
//@for h in 0..GROUPS_N
          let b{h} = sliceB[kk * ROW_B + local.x + {h}u * THREADS];
//@end
//@for g in 0..GROUPS_M
          let a{g} = sliceA[kk * ROW_A + local.y + {g}u * THREADS];
//@for w in 0..WIDTH_M
          {
//@if WIDE_M
            let x = a{g}[{w}];
//@else
            let x = a{g};
//@end
//@for h in 0..GROUPS_N
//@for v in 0..WIDTH_N
//@if WIDE_N
            acc{g}_{w}_{h}_{v} = fma(x, b{h}[{v}], acc{g}_{w}_{h}_{v});
//@else
            acc{g}_{w}_{h}_{v} = fma(x, b{h}, acc{g}_{w}_{h}_{v});
//@end
//@end
//@end
          }
//@end
//@end
        }
        if (SLICES == 1) { workgroupBarrier(); }
      }
      if (k < last) {
        let at = filling * DEPTH + 4u * place.x;
//@for i in 0..4
        if (loadsA) { store_a(at + {i}u, place.y, block.k{i}); }
        if (loadsB) { store_b(at + {i}u, place.y, block.k{i}); }
//@end
      }
      workgroupBarrier();
      filling = SLICES - 1u - filling;
    }
//@if SCALE_C
    if ({t}u == 0u) {
//@for h in 0..GROUPS_N
//@for v in 0..WIDTH_N
      let scale{h}_{v} = scaleB(min(column + column_of({h}u, {v}u), params.n - 1u));
//@for g in 0..GROUPS_M
//@for w in 0..WIDTH_M
      acc{g}_{w}_{h}_{v} *= scale{h}_{v};
//@end
//@end
//@end
//@end
    }
//@end
  }
//@end

  let biasBase = params.biasOuter * outer + params.biasInner * inner;
  let alpha = alpha_of(outer);
//@for h in 0..GROUPS_N
//@for v in 0..WIDTH_N
  if (column + column_of({h}u, {v}u) < params.n) {
    let j = column + column_of({h}u, {v}u);
    let shift = bias_of(biasBase + j);
    let at = cBase + row * params.cRow + j;
//@for g in 0..GROUPS_M
//@for w in 0..WIDTH_M
    if (row + row_of({g}u, {w}u) < params.m) {
      finish(acc{g}_{w}_{h}_{v}, alpha, shift, at + row_of({g}u, {w}u) * params.cRow);
    }
//@end
//@end
  }
//@end
//@end

//@if ACTIVATION
  // What this thread has just stored, once more: in registers the function's text would be repeated for every element.
  for (var i = 0u; i < WIDTH_M * GROUPS_M; i++) {
    let r = row + row_of(i / WIDTH_M, i % WIDTH_M);
    if (r >= params.m) { break; }
    for (var j = 0u; j < WIDTH_N * GROUPS_N; j++) {
      let s = column + column_of(j / WIDTH_N, j % WIDTH_N);
      if (s >= params.n) { break; }
      let at = cBase + r * params.cRow + s;
      let activated = activate(vec4f(c[at]));
      store_activated(activated.value.x, activated.slope.x, at);
    }
  }
//@end
}

// How far row or column `i` of a thread's group is from its first one.
fn row_of(group: u32, i: u32) -> u32 { return group * (THREADS * WIDTH_M) + i; }
fn column_of(group: u32, i: u32) -> u32 { return group * (THREADS * WIDTH_N) + i; }

// Over the k edge the product must be -0, the one number that leaves every sum as it is (chosen by its bits: as a
// constant it loses its sign): A is 0 there and B is -0. Rows and columns over the edge read the last one: their sums are never
// stored.
const MINUS_ZERO = 0x80000000u;
const OFFSETS = vec4u(0, 1, 2, 3);

//@for t in 0..TERMS
fn read_a{t}(base: u32, row: u32, k: u32, last: u32) -> Block {
  let step = params.terms[{t}].aRow;
//@if TRANSPOSE_A
//@for i in 0..4
  var x{i} = fourA{t}(base + min(k + {i}u, last - 1u) * step, row, params.m);
//@end
  if (k + 4u > last) {
//@for i in 0..4
    x{i} = select(vec4f(), x{i}, k + {i}u < last);
//@end
  }
  return Block(x0, x1, x2, x3);
//@else
//@for i in 0..4
  var x{i} = fourA{t}(base + min(row + {i}u, params.m - 1u) * step, k, last);
//@end
//@if SCALE_A
  let at = min(vec4u(k) + OFFSETS, vec4u(last - 1u));
  let scales = vec4f(scaleA{t}(at.x), scaleA{t}(at.y), scaleA{t}(at.z), scaleA{t}(at.w));
//@for i in 0..4
  x{i} *= scales;
//@end
//@end
  if (k + 4u > last) {
//@for i in 0..4
    x{i} = select(vec4f(), x{i}, vec4u(k) + OFFSETS < vec4u(last));
//@end
  }
  return transposed(x0, x1, x2, x3);
//@end
}

fn read_b{t}(base: u32, k: u32, column: u32, last: u32) -> Block {
  let step = params.terms[{t}].bRow;
//@if TRANSPOSE_B
//@for i in 0..4
  var x{i} = fourB{t}(base + min(column + {i}u, params.n - 1u) * step, k, last);
//@end
  if (k + 4u > last) {
//@for i in 0..4
    x{i} = bitcast<vec4f>(select(vec4u(MINUS_ZERO), bitcast<vec4u>(x{i}), vec4u(k) + OFFSETS < vec4u(last)));
//@end
  }
  return transposed(x0, x1, x2, x3);
//@else
//@for i in 0..4
  var x{i} = fourB{t}(base + min(k + {i}u, last - 1u) * step, column, params.n);
//@end
  if (k + 4u > last) {
//@for i in 0..4
    x{i} = bitcast<vec4f>(select(vec4u(MINUS_ZERO), bitcast<vec4u>(x{i}), k + {i}u < last));
//@end
  }
  return Block(x0, x1, x2, x3);
//@end
}
//@end

fn transposed(x0: vec4f, x1: vec4f, x2: vec4f, x3: vec4f) -> Block {
  return Block(
//@for i in 0..4
    vec4f(x0[{i}], x1[{i}], x2[{i}], x3[{i}]),
//@end
  );
}
