// Reduces the last axis of x [rows, columns], OP being one of the names below: y [rows, chunks], where chunk c reduces the
// `chunk` entries from c·chunk on, a multiple of 4 · LANES. With chunks = 1 that is the whole reduction; otherwise a second
// launch reduces the chunks. Chunks are always of one length, so zeros after the real entries change no bit of a sum.
// A job is one chunk of one row, LANES threads a job (see rows.wgsl).
//@include "rows.wgsl"

struct Params { rows: u32, columns: u32, chunks: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const SUM = 0; const MAX = 1; const SUM_OF_SQUARES = 2;

fn x_at(start: u32, q: u32, other: f32) -> vec4f {
//@if VEC
  return x[start / 4u + q];
//@else
  let i = start + 4u * q;
  return within(vec4f(x[i], x[i + 1u], x[i + 2u], x[i + 3u]), q, other);
//@end
}

@compute @workgroup_size(LANES, GROUPS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let job = row_of(group, groups, local);
  let row = job / params.chunks;
  let start = row * params.columns;
  let head = job % params.chunks * (params.chunk / 4u);
  let end = min(head + params.chunk / 4u, quads_of(row));
  var acc = vec4f(0);
  var first = 0.0;
  if (OP == MAX) { first = x_at(start, head, 0).x; acc = vec4f(first); }
  for (var q = head + local.x; q < end; q += LANES) {
    let value = x_at(start, q, first);
    switch OP {
      case SUM: { acc += value; }
      case MAX: { acc = max(acc, value); }
      case SUM_OF_SQUARES: { acc = fma(value, value, acc); }
      default: {}
    }
  }
  var result = 0.0;
  if (OP == MAX) { result = max4(max_over_lanes(acc, local)); } else { result = sum4(sum_over_lanes(acc, local)); }
  if (row < params.rows && local.x == 0u) { y[job] = result; }
}
