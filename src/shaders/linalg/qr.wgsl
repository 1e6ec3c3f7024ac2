// Householder QR, column by column (Golub & Van Loan 5.2.1), with or without column pivoting (Businger & Golub 1965).
//
// columns [N, n, stride]: the columns of N matrices [m, n], each contiguous and padded with zeros to whole vec4s.
// r [N, rRows, rStride]:  rows of R, zero to begin with; entry (j, c) belongs to column c wherever it was pivoted to.
// diagonal [N, k]:        R's diagonal, of either sign.
// state [N, k + 1 + n]:   the pivot key of each step, then for each column whether it has been a pivot; zero to begin with.
//
// reflect: H_j = I − v·vᵀ/(−r_jj·v_j), v = x − r_jj·e_j, for the pivot column x; applied to every column not yet a pivot. Rows
//        of R leave the columns as they are finished and leave zeros, so later sums need no mask. The pivot of step j + 1 is
//        the largest remaining norm by an atomic maximum over keys: the norm's upper 16 bits, then the lowest column.
// A job is one column; LANES threads a job (see lanes.wgsl). workgroup_id.z is the matrix.
//@include "../common/lanes.wgsl"

struct Params { columns: u32, stride: u32, k: u32, rRows: u32, rStride: u32, step: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> columns: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> r: array<f32>;
@group(0) @binding(3) var<storage, read_write> diagonal: array<f32>;
@group(0) @binding(4) var<storage, read_write> state: array<atomic<u32>>;

// A pivot column shorter than 2^-50 is left as it is: its squares would be too inexact for an orthogonal reflection.
const negligible = 0x1p-100f;

fn pivot_key(squares: f32, column: u32) -> u32 { return (bitcast<u32>(squares) & 0xffff0000u) | (0xffffu - column); }
fn pivot_of(key: u32) -> u32 { return 0xffffu - (key & 0xffffu); }

// The keys of the first step.
@compute @workgroup_size(LANES, GROUPS)
fn start(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let c = group.x * GROUPS + local.y;
  let live = c < params.columns;
  let base = (group.z * params.columns + c) * params.stride;
  var squares = vec4f(0);
  for (var q = local.x; q < select(0u, params.stride, live); q += LANES) {
    squares = fma(columns[base + q], columns[base + q], squares);
  }
  let total = sum_over_lanes(squares, local);
  let keys = group.z * (params.k + 1u + params.columns);
  if (live && local.x == 0u) { atomicMax(&state[keys], pivot_key(sum4(total), c)); }
}

@compute @workgroup_size(LANES, GROUPS)
fn reflect(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let j = params.step;
  let c = group.x * GROUPS + local.y + select(j, 0u, PIVOTED);
  let keys = group.z * (params.k + 1u + params.columns);
  let done = keys + params.k + 1u;
  var p = j;
  if (PIVOTED) { p = pivot_of(atomicLoad(&state[keys + j])); }
  let live = c < params.columns && atomicLoad(&state[min(done + c, done + params.columns - 1u)]) == 0u;
  let head = j / 4u;
  let begin = first_of_lane(head, local.x);
  let end = select(0u, params.stride, live);
  let x = (group.z * params.columns + p) * params.stride;
  let a = (group.z * params.columns + c) * params.stride;

  var squares = vec4f(0);
  var products = vec4f(0);
  for (var q = begin; q < end; q += LANES) {
    let xq = columns[x + q];
    squares = fma(xq, xq, squares);
    products = fma(xq, columns[a + q], products);
  }
  var own = 0.0;
  if (begin == head && live) { own = columns[a + head][j % 4u]; }
  let sums = sum_over_lanes(vec4f(sum4(squares), sum4(products), own, 0), local);
  let xj = columns[x + head][j % 4u];
  let norm = select(0.0, sqrt(sums.x), sums.x > negligible);
  let rjj = select(-norm, norm, xj < 0.0);
  var remaining = vec4f(0);
  if (live && c != p) {
    let aj = sums.z;
    var factor = 0.0;
    if (norm > 0.0) { factor = (sums.y - rjj * aj) / (norm * (norm + abs(xj))); }
    for (var q = begin; q < end; q += LANES) {
      var next = fma(vec4f(-factor), columns[x + q], columns[a + q]);
      if (q == head) { next = select(next, vec4f(0), vec4u(0, 1, 2, 3) == vec4u(j % 4u)); }
      columns[a + q] = next;
      remaining = fma(next, next, remaining);
    }
    if (local.x == 0u) { r[(group.z * params.rRows + j) * params.rStride + c] = fma(-factor, xj - rjj, aj); }
  }
  if (PIVOTED) { remaining = sum_over_lanes(remaining, local); }
  if (live && local.x == 0u) {
    if (c == p) {
      r[(group.z * params.rRows + j) * params.rStride + c] = rjj;
      diagonal[group.z * params.k + j] = rjj;
      atomicStore(&state[done + c], 1u);
    } else if (PIVOTED) {
      atomicMax(&state[keys + j + 1u], pivot_key(sum4(remaining), c));
    }
  }
}
