// Packs a matrix into texels, four neighbours along k in each, for matmul_register.wgsl:
//
//   texel[((z * blocks + r / 8) * quads + j) * 8 + r % 8] = op(source z)[r, 4j .. 4j + 3]     with `fill` beyond the last k
//
// so that the lanes of a subgroup, which have a row each, read neighbours. blocks: of 8 rows in a matrix, quads: of 4 columns.
// source: batch matrices op(source z), rows x k; stored so, or k x rows with TRANSPOSED. Matrix z starts at offset + z /
// batchInner * outer + z % batchInner * inner, stored rows are `row` elements apart. Elements are those of stored.wgsl. VEC: four
// are read at once along stored rows; offset and strides are then multiples of 4, and so is the length of a stored row, or
// something follows it up to the next multiple. With SCALE_A column k is multiplied by scale k of the words that start at
// `scales` in `scaled`.
//
// Workgroup (x, y) is for matrix y of the batch. Its thread t makes row LANES * x + t, or with TRANSPOSED and VEC the four rows
// from four times that on. There is a division for each matrix and none for a texel: a CPU divides lane by lane.
//@include "stored.wgsl"

struct Params {
  rows: u32, k: u32, quads: u32, blocks: u32,
  offset: u32, row: u32, outer: u32, inner: u32,
  batchInner: u32, scales: u32, fill: u32, unused: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
//@if VEC
@group(0) @binding(1) var<storage, read> source: array<FourB>;
fn load(i: u32) -> vec4f { return four(source[i / 4u]); }
//@else
@group(0) @binding(1) var<storage, read> source: array<OneB>;
fn load(i: u32) -> f32 { return one(source[i / PER_B], i); }
//@end
@group(0) @binding(2) var texels: texture_storage_2d<rgba32float, write>;
//@if SCALE_A
@group(0) @binding(3) var<storage, read> scaled: array<u32>;
fn scale(k: u32) -> f32 { return bitcast<f32>(scaled[params.scales + min(k, params.k - 1u)]); }
//@end

const TEXELS_IN_ROW = 1024u;

// Texel j of row r, if there is such a row.
fn store(z: u32, r: u32, j: u32, values: vec4f) {
  if (r >= params.rows) { return; }
  var x = values;
//@if SCALE_A
  x *= vec4f(scale(4u * j), scale(4u * j + 1u), scale(4u * j + 2u), scale(4u * j + 3u));
//@end
  // By its bits: as a constant -0 loses its sign.
  let isThere = vec4u(4u * j) + vec4u(0, 1, 2, 3) < vec4u(params.k);
  x = bitcast<vec4f>(select(vec4u(params.fill), bitcast<vec4u>(x), isThere));
  let at = ((z * params.blocks + r / 8u) * params.quads + j) * 8u + r % 8u;
  textureStore(texels, vec2u(at % TEXELS_IN_ROW, at / TEXELS_IN_ROW), x);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let z = group.y;
  let start = params.offset + z / params.batchInner * params.outer + z % params.batchInner * params.inner;
  const ROWS = select(1u, 4u, TRANSPOSED && VEC);
  let r = (group.x * LANES + lane) * ROWS;
  // Rows over the edge read the last ones.
  let there = min(r, (params.rows - 1u) / ROWS * ROWS);
  for (var j = 0u; j < params.quads; j++) {
//@if TRANSPOSED
//@if VEC
//@for s in 0..4
    let x{s} = load(start + min(4u * j + {s}u, params.k - 1u) * params.row + there);
//@end
//@for s in 0..4
    store(z, r + {s}u, j, vec4f(x0[{s}], x1[{s}], x2[{s}], x3[{s}]));
//@end
//@else
    let k = min(vec4u(4u * j) + vec4u(0, 1, 2, 3), vec4u(params.k - 1u));
    let at = start + k * params.row + there;
    store(z, r, j, vec4f(load(at.x), load(at.y), load(at.z), load(at.w)));
//@end
//@else
//@if VEC
    store(z, r, j, load(start + there * params.row + 4u * j));
//@else
    let k = min(vec4u(4u * j) + vec4u(0, 1, 2, 3), vec4u(params.k - 1u));
    let at = start + there * params.row + k;
    store(z, r, j, vec4f(load(at.x), load(at.y), load(at.z), load(at.w)));
//@end
//@end
  }
}
