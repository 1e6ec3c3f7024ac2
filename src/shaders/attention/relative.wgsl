// Terms of attention scores that depend on the distance of a query from a key, gathered from products with a table of
// positions, and the gradients of these products.
//
// forward:  scores[s, h, i, j] += a[s, i, h, row(i − j)] (BY_QUERIES) + b[s, j, h, row(i − j)] (BY_KEYS)
// gradient: product[s, p, h, r] = Σ dscores[s, h, p, j] over the keys j with row(p − j) = r, or where OF_KEYS
//           Σ dscores[s, h, i, p] over the queries i with row(i − p) = r; in ascending order. Padding comes last, and adds 0.
//
// Scores are [sequences, heads, length, length]; a, b and product [sequences, length, heads, count], of the rows of the table
// from `first` on. rows[d + reach − 1] is the row of distance d; of row r are the distances from starts[r] − (reach − 1) to
// before starts[r + 1] − (reach − 1).
//
// One thread a score, or a value of product. A workgroup is a square of 8 by 8, so that threads along a diagonal share what
// they read; workgroups are counted along x, then y.

struct Params { sequences: u32, heads: u32, length: u32, first: u32, count: u32, reach: u32 }
@group(0) @binding(0) var<uniform> params: Params;

struct Place { column: u32, row: u32, head: u32, sequence: u32 }

// The thread's place in a square of params.length rows; sequence is params.sequences or more where there's none.
fn place(group: vec3u, groups: vec3u, local: vec3u, columns: u32) -> Place {
  let id = group.x + group.y * groups.x;
  let across = (columns + 7u) / 8u;
  let down = (params.length + 7u) / 8u;
  let matrix = id / (across * down);
  let at = Place(id % across * 8u + local.x, id / across % down * 8u + local.y, matrix % params.heads, matrix / params.heads);
  if (at.column >= columns || at.row >= params.length) { return Place(0u, 0u, 0u, params.sequences); }
  return at;
}

fn score_at(at: Place, query: u32, key: u32) -> u32 {
  return ((at.sequence * params.heads + at.head) * params.length + query) * params.length + key;
}

fn product_at(at: Place, position: u32, row: u32) -> u32 {
  return ((at.sequence * params.length + position) * params.heads + at.head) * params.count + row;
}

@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> scores: array<f32>;

@compute @workgroup_size(8, 8)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let at = place(group, groups, local, params.length);
  if (at.sequence >= params.sequences) { return; }
  let row = rows[at.row + params.reach - 1u - at.column] - params.first;
  let i = score_at(at, at.row, at.column);
  var score = scores[i];
  if (BY_QUERIES) { score += a[product_at(at, at.row, row)]; }
  if (BY_KEYS) { score += b[product_at(at, at.column, row)]; }
  scores[i] = score;
}

@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> dscores: array<f32>;
@group(0) @binding(3) var<storage, read_write> product: array<f32>;

@compute @workgroup_size(8, 8)
fn gradient(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let at = place(group, groups, local, params.count);
  if (at.sequence >= params.sequences) { return; }
  let nearest = i32(starts[params.first + at.column]) - i32(params.reach - 1u);
  let furthest = i32(starts[params.first + at.column + 1u]) - i32(params.reach);
  let p = i32(at.row);
  let last = i32(params.length) - 1;
  var total = 0.0;
  if (OF_KEYS) {
    let end = min(p + furthest, last);
    for (var i = max(p + nearest, 0); i <= end; i++) { total += dscores[score_at(at, u32(i), at.row)]; }
  } else {
    let end = min(p - nearest, last);
    for (var j = max(p - furthest, 0); j <= end; j++) { total += dscores[score_at(at, at.row, u32(j))]; }
  }
  product[product_at(at, at.row, at.column)] = total;
}
