// Rows of params.columns floats, four at a time, for kernels whose job is one row.
//
// With VEC, columns is a multiple of 4 and arrays are bound as vec4f. Otherwise they are bound as f32, and a vec4 that
// reaches beyond its row holds zeros there. So a sum has the same order and the same bits either way, also when a row is
// padded with zeros to a multiple of 4.
//
// Vec4 q of a row is lane q mod LANES's. A kernel calls row_of, then works on quads_of(row) vec4s, which is none beyond the
// last row: no thread may leave before the barriers of the sums. Workgroups are counted along x, then y.
//@include "../common/lanes.wgsl"

//@if VEC
alias Element = vec4f;
//@else
alias Element = f32;
//@end

fn row_of(group: vec3u, groups: vec3u, local: vec3u) -> u32 { return (group.x + group.y * groups.x) * GROUPS + local.y; }

fn quads_of(row: u32) -> u32 { return select(0u, (params.columns + 3u) / 4u, row < params.rows); }

// v, which belongs to vec4 q of a row, with `other` beyond the end of the row.
fn within(v: vec4f, q: u32, other: f32) -> vec4f {
  if (VEC) { return v; }
  return select(vec4f(other), v, 4u * q + vec4u(0, 1, 2, 3) < vec4u(params.columns));
}
