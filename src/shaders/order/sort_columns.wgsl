// Of the columns of x [N, inner], each taken in ascending order; equal values keep the order of their rows.
//
// main: y [N, inner] has the ordered columns.
// near: x is ordered; y [inner] is the mean of the `count` values of each column that are nearest to its median, the mean of
//       the middle two where N is even. From the whole column the end that is farther away goes, the upper one of two that
//       are as far; what is left is added up in ascending order.
// One thread a column, by insertion; 64 threads a workgroup; workgroups are counted along x, then y.

struct Params { inner: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let column = id.x + id.y * groups.x * 64;
  if (column >= params.inner) { return; }
  var ordered: array<f32, N>;
  for (var row = 0u; row < N; row++) {
    let value = x[row * params.inner + column];
    var place = row;
    while (place > 0 && ordered[place - 1] > value) {
      ordered[place] = ordered[place - 1];
      place--;
    }
    ordered[place] = value;
  }
  for (var row = 0u; row < N; row++) { y[row * params.inner + column] = ordered[row]; }
}

fn at(row: u32, column: u32) -> f32 { return x[row * params.inner + column]; }

@compute @workgroup_size(64)
fn near(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let column = id.x + id.y * groups.x * 64;
  if (column >= params.inner) { return; }
  let median = 0.5 * at((N - 1) / 2, column) + 0.5 * at(N / 2, column);
  var low = 0u;
  var high = u32(N);
  while (high - low > params.count) {
    if (median - at(low, column) > at(high - 1, column) - median) { low++; } else { high--; }
  }
  var total = 0.0;
  for (var row = low; row < high; row++) { total += at(row, column); }
  y[column] = total / f32(params.count);
}
