// Positions of tokens in their rows [rows, length], counted as fairseq does (`make_positions`): y[r, t] = padding + the number of
// s <= t with ids[r, s] != padding where ids[r, t] != padding, else padding itself.
//
// One thread a row, 64 a workgroup; workgroups are counted along x, then y.

struct Params { rows: u32, length: u32, padding: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = id.x + id.y * groups.x * 64;
  if (row >= params.rows) { return; }
  var count = 0u;
  for (var at = row * params.length; at < (row + 1) * params.length; at++) {
    let isToken = ids[at] != params.padding;
    count += u32(isToken);
    y[at] = params.padding + select(0u, count, isToken);
  }
}
