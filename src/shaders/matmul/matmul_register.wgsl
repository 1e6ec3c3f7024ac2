// Matrix product for CPU adapters: every thread keeps a tile of C in registers; no workgroup memory, no barriers.
//
//   C = act(alpha * op(A) op(B) [+ op(A1) op(B1)] + bias) [+ residual]     and, on request, slope = act'(...)
//   op(A): m x k, op(B): k x n, op(A1): m x k1, op(B1): k1 x n; C, residual, slope: m x n; bias: n entries
//
// Every C element is one chain acc = fma(a, b, acc) over k = 0, 1, ..., then over k1, started at 0 (ACCUMULATE: at the
// value in C). With ACCUMULATE or a second product alpha is 1. So tile shape and layout never change a bit of the result on
// one adapter (WGSL leaves it to the adapter whether fma rounds once or twice; Mesa's software driver rounds twice).
//
// Bindings (all strides and offsets in elements; matrix z of the batch has outer = z / batchInner, inner =
// z % batchInner, and starts at Offset + outer * Outer + inner * Inner; stored rows are Row elements apart):
//   a, b      of the first product, a1, b1 of the second (with SECOND, then TERMS is 2); A stored m x k, or k x m with
//             TRANSPOSE_A; B stored k x n, or n x k with TRANSPOSE_B. VEC_A, VEC_B: four elements are read at once along
//             stored rows. Offset and strides are then multiples of 4, and from a row's end to the next multiple of 4 A
//             holds 0 and B holds -0. HALF_B: B consists of pairs of f16 (B1 does not). INT8_B: of four whole
//             numbers a word, op(B)[k, n] being s q; with SCALE_C s belongs to n, and the sum over k is multiplied by it before
//             the second product; with SCALE_A it belongs to k, and A is multiplied by it as it is read.
//             With TEXELS both are in textures as pack.wgsl leaves them, m x k and n x k. An adapter on a CPU reads four
//             neighbours at once from a texture, but one after another from a buffer, each with a check of its bounds
//   c         m x n
//   bias      where params.hasBias is 1; with SCALED, alpha of each outer matrix instead; residual with RESIDUAL, slope with
//             SLOPE: in the layout of C
//
// Layout: a workgroup is LANES threads in a row and computes (A_LOADS * SHARE) x (COLUMNS * WIDTH * LANES) elements of C. Of
// each of COLUMNS groups of WIDTH * LANES columns, lane l has the WIDTH neighbours from l * WIDTH on: 4 if rows of B run along
// n and are read four elements at a time (WIDE), else 1. Loads dominate the cost on these adapters. With SHARED, SHARE = LANES = the subgroup
// size: the lanes load the tile's A together and broadcast it, so that no element of the tile's A or B is loaded
// twice. Without, SHARE = 1 and each thread loads its A_LOADS rows itself. The grid is flat: workgroup
// x + y * (grid width) makes tile (id % tilesN, id / tilesN % tilesM) of matrix id / (tilesN * tilesM).
//
// Source: register blocking after Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008);
// the subgroup's broadcast stands for the cache that a CPU kernel would pack A into.
//@include "matmul.wgsl"
//@if SHARED
enable subgroups;
diagnostic(off, subgroup_uniformity);
//@end

//@if TEXELS
const TEXELS_IN_ROW = 1024u;
fn place(i: u32) -> vec2u { return vec2u(i / 4u % TEXELS_IN_ROW, i / 4u / TEXELS_IN_ROW); }
@group(0) @binding(1) var a0: texture_storage_2d<rgba32float, read>;
fn fourA0(i: u32) -> vec4f { return textureLoad(a0, place(i)); }
@group(0) @binding(2) var b0: texture_storage_2d<rgba32float, read>;
fn fourB0(i: u32) -> vec4f { return textureLoad(b0, place(i)); }
//@if SCALE_C
@group(0) @binding(5 + 2 * u32(SECOND) + u32(RESIDUAL) + u32(SLOPE)) var<storage, read> stored: array<u32>;
fn scaleB(i: u32) -> f32 { return bitcast<f32>(stored[params.terms[0].bScales + i]); }
//@end
//@else
//@if VEC_A
@group(0) @binding(1) var<storage, read> a0: array<vec4f>;
fn loadA0(i: u32) -> f32 { return a0[i / 4u][i % 4u]; }
fn fourA0(i: u32) -> vec4f { return a0[i / 4u]; }
//@else
@group(0) @binding(1) var<storage, read> a0: array<f32>;
fn loadA0(i: u32) -> f32 { return a0[i]; }
//@end
//@if VEC_B
@group(0) @binding(2) var<storage, read> b0: array<FourB>;
fn loadB0(i: u32) -> f32 { return four(b0[i / 4u])[i % 4u]; }
fn fourB0(i: u32) -> vec4f { return four(b0[i / 4u]); }
//@else
@group(0) @binding(2) var<storage, read> b0: array<OneB>;
fn loadB0(i: u32) -> f32 { return one(b0[i / PER_B], i); }
//@end
//@if INT8_B
fn scaleB(i: u32) -> f32 { return bitcast<f32>(b0[params.terms[0].bScales + i]); }
fn scaleA0(k: u32) -> f32 { return scaleB(k); }
fn scaleA1(k: u32) -> f32 { return 1.0; }
//@end
//@end
//@if SECOND
@group(0) @binding(5) var<storage, read> a1: array<f32>;
@group(0) @binding(6) var<storage, read> b1: array<f32>;
fn loadA1(i: u32) -> f32 { return a1[i]; }
fn loadB1(i: u32) -> f32 { return b1[i]; }
//@end

// Four neighbours in a stored row, or four `stride` apart of which `left` are there. Beyond the last k, A is 0 and B is -0 (by
// its bits: as a constant it loses its sign): their product is -0, the one number that leaves every sum as it is.
const MINUS_ZERO = 0x80000000u;
//@if VEC_A
fn fourA(i: u32, stride: u32, left: u32) -> vec4f { return fourA0(i); }
//@else
fn fourA(i: u32, stride: u32, left: u32) -> vec4f {
//@if TAIL
  let at = i + min(vec4u(0, 1, 2, 3), vec4u(left - 1u)) * stride;
  let x = vec4f(a0[at.x], a0[at.y], a0[at.z], a0[at.w]);
  return select(vec4f(0), x, vec4u(0, 1, 2, 3) < vec4u(left));
//@else
  return vec4f(a0[i], a0[i + stride], a0[i + 2u * stride], a0[i + 3u * stride]);
//@end
}
//@end
//@if VEC_B
fn fourB(i: u32, stride: u32, left: u32) -> vec4f { return fourB0(i); }
//@else
fn fourB(i: u32, stride: u32, left: u32) -> vec4f {
//@if TAIL
  let at = i + min(vec4u(0, 1, 2, 3), vec4u(left - 1u)) * stride;
  let y = vec4f(loadB0(at.x), loadB0(at.y), loadB0(at.z), loadB0(at.w));
  return bitcast<vec4f>(select(vec4u(MINUS_ZERO), bitcast<vec4u>(y), vec4u(0, 1, 2, 3) < vec4u(left)));
//@else
  return vec4f(loadB0(i), loadB0(i + stride), loadB0(i + 2u * stride), loadB0(i + 3u * stride));
//@end
}
//@end
fn within(x: vec4f, isWithin: bool) -> vec4f { return select(vec4f(0), x, isWithin || !TAIL); }
fn or_minus_zero(y: vec4f, isWithin: bool) -> vec4f {
  return bitcast<vec4f>(select(vec4u(MINUS_ZERO), bitcast<vec4u>(y), isWithin || !TAIL));
}

// From an element of op(A) to the one below it and to the next k; the same of op(B)ᵀ. In texels, those of a block of rows stand
// side by side for each four k, as a subgroup reads them.
struct Strides { block: u32, row: u32, k: u32 }
const IN_BLOCK = 8u;

fn strides_of(row: u32, isTransposed: bool, inTexels: bool) -> Strides {
  let stored = Strides(IN_BLOCK * select(row, 1u, isTransposed), select(row, 1u, isTransposed), select(1u, row, isTransposed));
  return Strides(
    select(stored.block, IN_BLOCK * row, inTexels),
    select(stored.row, 4u, inTexels),
    select(stored.k, IN_BLOCK, inTexels),
  );
}

fn row_at(r: u32, strides: Strides) -> u32 {
  return r / IN_BLOCK * strides.block + r % IN_BLOCK * strides.row;
}

const ROWS = A_LOADS * SHARE;
const TILE_M = ROWS;
const TILE_N = COLUMNS * WIDTH * LANES;

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
  let tile = tile_of(group.x + group.y * groups.x);
  if (tile.z >= params.batch) { return; }
  let outer = tile.z / params.batchInner;
  let inner = tile.z % params.batchInner;
  let row = tile.y;
  let column = tile.x + lane * WIDTH;
  let cBase = params.cOffset + outer * params.cOuter + inner * params.cInner;

//@for q in 0..A_LOADS
//@for s in 0..SHARE
//@for g in 0..COLUMNS
//@for w in 0..WIDTH
  var acc{q}_{s}_{g}_{w} = 0.0;
//@if ACCUMULATE
  if (row + {q}u * SHARE + {s}u < params.m && column + {g}u * WIDTH * LANES + {w}u < params.n) {
    acc{q}_{s}_{g}_{w} = c[cBase + (row + {q}u * SHARE + {s}u) * params.cRow + column + {g}u * WIDTH * LANES + {w}u];
  }
//@end
//@end
//@end
//@end
//@end

//@for t in 0..TERMS
  // Where op(A)[row, 0] and op(B)[0, column] lie, and how far the next k is. Rows and columns over the edge read the
  // last ones: their sums are never stored.
  let term{t} = params.terms[{t}];
  let aBase{t} = term{t}.aOffset + outer * term{t}.aOuter + inner * term{t}.aInner;
  let bBase{t} = term{t}.bOffset + outer * term{t}.bOuter + inner * term{t}.bInner;
  let aStrides{t} = strides_of(term{t}.aRow, TRANSPOSE_A, TEXELS && {t} == 0);
  let bStrides{t} = strides_of(term{t}.bRow, !TRANSPOSE_B, TEXELS && {t} == 0);
//@for q in 0..A_LOADS
  let aAt{t}_{q} = aBase{t} + row_at(min(row + {q}u * SHARE + aLane, params.m - 1u), aStrides{t});
//@end
//@for g in 0..COLUMNS
  let bAt{t}_{g} = bBase{t} + row_at(min(column + {g}u * WIDTH * LANES, (params.n - 1u) / WIDTH * WIDTH), bStrides{t});
//@end
//@end

//@if SHARED
  // Four k at a time, rows outside and CHAIN of them inside, so that an accumulator is fetched once for as many
  // multiply-adds: all four, or two where 16 vectors of B would fill every register of a CPU. This pays only where
  // loads are shared: a thread that loads all its rows is slower this way than one k at a time.
//@if PACKED_A
  // A is stored along m: vec4 e of the tile's four k has k + e / (ROWS / 4) and the rows from 4 * (e % (ROWS / 4)) on.
//@for q in 0..A_LOADS
  let e{q} = {q}u * LANES + lane;
  let packed{q} = aBase0 + min(row + e{q} % (ROWS / 4u) * 4u, (params.m - 1u) / 4u * 4u);
//@end
//@end
  for (var k = 0u; k < term0.k; k += 4u) {
    let left = term0.k - k;
//@if SCALE_A
    let own = scaleB(min(k + lane % 4u, term0.k - 1u));
    let scales = vec4f(
      subgroupBroadcast(own, 0u), subgroupBroadcast(own, 1u), subgroupBroadcast(own, 2u), subgroupBroadcast(own, 3u),
    );
//@end
//@if PACKED_A
    let packed = array<vec4f, A_LOADS>(
//@for q in 0..A_LOADS
      within(
        fourA(packed{q} + min(k + e{q} / (ROWS / 4u), term0.k - 1u) * aStrides0.k, 1u, 4u),
        e{q} / (ROWS / 4u) < left,
      ),
//@end
    );
//@else
//@for q in 0..A_LOADS
//@if SCALE_A
    let a{q}_k = scales * fourA(aAt0_{q} + k * aStrides0.k, aStrides0.k, left);
//@else
    let a{q}_k = fourA(aAt0_{q} + k * aStrides0.k, aStrides0.k, left);
//@end
//@end
//@end
//@if WIDE
//@for g in 0..COLUMNS
//@for c in 0..CHAINS
//@for i in 0..CHAIN
    let b{g}_{c}_{i} = or_minus_zero(
      fourB(bAt0_{g} + min(k + {c}u * CHAIN + {i}u, term0.k - 1u) * bStrides0.k, 1u, 4u),
      {c}u * CHAIN + {i}u < left,
    );
//@end
//@end
//@end
//@else
//@for g in 0..COLUMNS
    let b{g}_k = fourB(bAt0_{g} + k * bStrides0.k, bStrides0.k, left);
//@end
//@end
//@for c in 0..CHAINS
//@for q in 0..A_LOADS
//@for s in 0..SHARE
//@for i in 0..CHAIN
    {
      const kk = {c}u * CHAIN + {i}u;
//@if PACKED_A
      const e = kk * (ROWS / 4u) + ({q}u * SHARE + {s}u) / 4u;
      let x = subgroupBroadcast(packed[e / LANES][({q}u * SHARE + {s}u) % 4u], e % LANES);
//@else
//@if SHUFFLES
      let x = subgroupShuffle(a{q}_k[kk], {s}u);
//@else
      let x = subgroupBroadcast(a{q}_k[kk], {s}u);
//@end
//@end
//@for g in 0..COLUMNS
//@for w in 0..WIDTH
//@if WIDE
      acc{q}_{s}_{g}_{w} = fma(x, b{g}_{c}_{i}[{w}], acc{q}_{s}_{g}_{w});
//@else
      acc{q}_{s}_{g}_{w} = fma(x, b{g}_k[kk], acc{q}_{s}_{g}_{w});
//@end
//@end
//@end
    }
//@end
//@end
//@end
//@end
  }
//@if SCALE_C
//@for g in 0..COLUMNS
//@for w in 0..WIDTH
  {
    let scale = scaleB(min(column + {g}u * WIDTH * LANES + {w}u, params.n - 1u));
//@for q in 0..A_LOADS
//@for s in 0..SHARE
    acc{q}_{s}_{g}_{w} *= scale;
//@end
//@end
  }
//@end
//@end
//@end
//@end

  // The second product is thin, and so one k at a time, which is a quarter of the text.
//@for t in FIRST_SINGLE..TERMS
  for (var k = 0u; k < term{t}.k; k++) {
//@for q in 0..A_LOADS
//@if SCALE_A
    let a{q}_k = loadA{t}(aAt{t}_{q} + k * aStrides{t}.k) * scaleA{t}(k);
//@else
    let a{q}_k = loadA{t}(aAt{t}_{q} + k * aStrides{t}.k);
//@end
//@end
//@for g in 0..COLUMNS
//@for w in 0..WIDTH
    let b{g}_{w} = loadB{t}(bAt{t}_{g} + k * bStrides{t}.k + {w}u);
//@end
//@end
//@for q in 0..A_LOADS
//@for s in 0..SHARE
    {
//@if SHARED
      let x = subgroupBroadcast(a{q}_k, {s}u);
//@else
      let x = a{q}_k;
//@end
//@for g in 0..COLUMNS
//@for w in 0..WIDTH
      acc{q}_{s}_{g}_{w} = fma(x, b{g}_{w}, acc{q}_{s}_{g}_{w});
//@end
//@end
    }
//@end
//@end
  }
//@if SCALE_C
  if ({t}u == 0u) {
//@for g in 0..COLUMNS
//@for w in 0..WIDTH
  {
    let scale = scaleB(min(column + {g}u * WIDTH * LANES + {w}u, params.n - 1u));
//@for q in 0..A_LOADS
//@for s in 0..SHARE
    acc{q}_{s}_{g}_{w} *= scale;
//@end
//@end
  }
//@end
//@end
  }
//@end
//@end

  let biasBase = params.biasOuter * outer + params.biasInner * inner;
  let alpha = alpha_of(outer);
//@for g in 0..COLUMNS
//@for w in 0..WIDTH
  if (column + {g}u * WIDTH * LANES + {w}u < params.n) {
    let j = column + {g}u * WIDTH * LANES + {w}u;
    let shift = bias_of(biasBase + j);
    let at = cBase + row * params.cRow + j;
//@for q in 0..A_LOADS
//@for s in 0..SHARE
    if (row + {q}u * SHARE + {s}u < params.m) {
      finish(acc{q}_{s}_{g}_{w}, alpha, shift, at + ({q}u * SHARE + {s}u) * params.cRow);
    }
//@end
//@end
  }
//@end
//@end

//@if ACTIVATION
  // What this thread has just stored, once more: in registers the function's text would be repeated for every element.
  for (var i = row; i < min(row + ROWS, params.m); i++) {
//@if WIDE
//@for g in 0..COLUMNS
    activate_row(cBase + i * params.cRow + column + {g}u * WIDTH * LANES, 1u, column + {g}u * WIDTH * LANES);
//@end
//@else
    activate_row(cBase + i * params.cRow + column, LANES, column);
//@end
  }
//@end
}

//@if ACTIVATION
// Activates four of a row's elements, `step` apart, of which those beyond column n or the lane's own don't count.
fn activate_row(first: u32, step: u32, column: u32) {
  let left = (params.n + step - 1u - min(column, params.n)) / step;
  let count = min(left, select(u32(COLUMNS), 4u, WIDTH == 4));
  var z = vec4f();
//@for w in 0..4
  if ({w}u < count) { z[{w}] = c[first + {w}u * step]; }
//@end
  let activated = activate(z);
//@for w in 0..4
  if ({w}u < count) { store_activated(activated.value[{w}], activated.slope[{w}], first + {w}u * step); }
//@end
}
//@end
