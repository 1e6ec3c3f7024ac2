// Reduces the middle axis of x [outer, length, inner], OP being one of the names below.
//
// main: y [outer, chunks, inner]: chunk c reduces the `chunk` entries from c·chunk on, in order. With chunks = 1
//       that is the whole reduction; otherwise a second launch reduces the chunks. Chunks are always of one length, so
//       zeros after the real entries change no bit of a sum. With VEC, `inner` counts vec4s, whose sums are its own.
// argmax: index [outer, inner] is the first of the largest entry.
// max_gradient: y [outer, length, inner] is dy at the first entry equal to the maximum m, and 0 elsewhere.
// argmax and max_gradient go without VEC. One thread an output; 64 threads a workgroup; workgroups are counted along x,
// then y.

//@if VEC
alias Element = vec4f;
//@else
alias Element = f32;
//@end
struct Params { outer: u32, length: u32, inner: u32, chunks: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read_write> y: array<Element>;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> index: array<u32>;
@group(0) @binding(2) var<storage, read> m: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

const SUM = 0; const MAX = 1; const SUM_OF_SQUARES = 2;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64;
  if (i >= params.outer * params.chunks * params.inner) { return; }
  let column = i % params.inner;
  let c = (i / params.inner) % params.chunks;
  let o = i / (params.inner * params.chunks);
  let first = c * params.chunk;
  let last = min(first + params.chunk, params.length);
  var at = (o * params.length + first) * params.inner + column;
  var acc = Element(0);
  if (OP == MAX) { acc = x[at]; }
  for (var r = first; r < last; r++) {
    let value = x[at];
    at += params.inner;
    switch OP {
      case SUM: { acc += value; }
      case MAX: { acc = max(acc, value); }
      case SUM_OF_SQUARES: { acc = fma(value, value, acc); }
      default: {}
    }
  }
  y[i] = acc;
}

@compute @workgroup_size(64)
fn argmax(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64;
  if (i >= params.outer * params.inner) { return; }
  let column = i % params.inner;
  let base = (i / params.inner) * params.length * params.inner + column;
  var best = values[base];
  var found = 0u;
  for (var r = 1u; r < params.length; r++) {
    let value = values[base + r * params.inner];
    if (value > best) { best = value; found = r; }
  }
  index[i] = found;
}

@compute @workgroup_size(64)
fn max_gradient(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64;
  if (i >= params.outer * params.inner) { return; }
  let column = i % params.inner;
  let base = (i / params.inner) * params.length * params.inner + column;
  var found = false;
  for (var r = 0u; r < params.length; r++) {
    let at = base + r * params.inner;
    let first = !found && values[at] == m[i];
    dx[at] = select(0.0, dy[i], first);
    found = found || first;
  }
}
