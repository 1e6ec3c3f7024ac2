// target[r, c] = source[offset + r * row + c] for c < width, and `bits` beyond: rows of 32-bit words brought to a multiple of four.
//
// source: rows `row` words apart; target: contiguous [rows, 4 * quads]. A thread makes four neighbouring words, 64 threads a
// workgroup; workgroups are counted along x, then y.

struct Params { rows: u32, width: u32, quads: u32, row: u32, offset: u32, bits: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read_write> target_: array<vec4u>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64;
  if (i >= params.rows * params.quads) { return; }
  let column = i % params.quads * 4u;
  let columns = vec4u(column) + vec4u(0, 1, 2, 3);
  let at = params.offset + i / params.quads * params.row + min(columns, vec4u(params.width - 1u));
  let x = vec4u(source[at.x], source[at.y], source[at.z], source[at.w]);
  target_[i] = select(vec4u(params.bits), x, columns < vec4u(params.width));
}
