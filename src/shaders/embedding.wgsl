// Rows of a table by index, and the gradient of the table in a fixed order (no atomics).
//
// forward:  y[i, d] = table[member(i), ids[i], d] for n ids; member(i) = i / idsPerTable. An id outside the table gives
//           NaN, so that it can't go unnoticed. HALF: the table is of pairs of f16, the first in the low bits. INT8: it is stored as
//           int8.wgsl says, and an entry is q times its row's scale.
// chain:    next[i] is the next position of ids[i] after i within its member (n where none), and first[i] says whether i
//           is the first place of its id. One thread an id.
// gradient: the thread of a first place adds dy over its chain, in order, into dtable, which is zero before.
// forward and gradient: one thread a value of d. 64 threads a workgroup; workgroups are counted along x, then y.

struct Params { n: u32, width: u32, vocabulary: u32, idsPerTable: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
//@if HALF
@group(0) @binding(2) var<storage, read> table: array<u32>;
fn entry(row: u32, column: u32) -> f32 {
  let at = row * params.width + column;
  return unpack2x16float(table[at / 2u])[at % 2u];
}
//@else
//@if INT8
@group(0) @binding(2) var<storage, read> table: array<u32>;
fn entry(row: u32, column: u32) -> f32 {
  let words = (params.width + 3u) / 4u;
  let word = table[row * words + column / 4u];
  let scale = bitcast<f32>(table[params.vocabulary * words + row]);
  return f32(i32(word << (24u - 8u * (column % 4u))) >> 24u) * scale;
}
//@else
@group(0) @binding(2) var<storage, read> table: array<f32>;
fn entry(row: u32, column: u32) -> f32 { return table[row * params.width + column]; }
//@end
//@end
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> links: array<vec2u>;
@group(0) @binding(2) var<storage, read> chains: array<vec2u>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dtable: array<f32>;

@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64;
  if (at >= params.n * params.width) { return; }
  let i = at / params.width;
  let row = ids[i];
  let member = i / params.idsPerTable;
  // WGSL takes no constant NaN, so its bits pass through a value that is known at run time.
  let unknown = bitcast<f32>(0x7fc00000u | (params.n & 0u));
  y[at] = select(unknown, entry(member * params.vocabulary + row, at % params.width), row < params.vocabulary);
}

@compute @workgroup_size(64)
fn chain(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64;
  if (i >= params.n) { return; }
  let start = (i / params.idsPerTable) * params.idsPerTable;
  let end = start + params.idsPerTable;
  let own = ids[i];
  var isFirst = 1u;
  for (var j = start; j < i; j++) {
    if (ids[j] == own) { isFirst = 0u; break; }
  }
  var next = params.n;
  for (var j = i + 1; j < end; j++) {
    if (ids[j] == own) { next = j; break; }
  }
  links[i] = vec2u(next, isFirst);
}

@compute @workgroup_size(64)
fn gradient(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64;
  if (at >= params.n * params.width) { return; }
  let i = at / params.width;
  let column = at % params.width;
  if (chains[i].y == 0u || ids[i] >= params.vocabulary) { return; }
  var total = 0.0;
  var place = i;
  while (place < params.n) {
    total += dy[place * params.width + column];
    place = chains[place].x;
  }
  dtable[((i / params.idsPerTable) * params.vocabulary + ids[i]) * params.width + column] = total;
}
