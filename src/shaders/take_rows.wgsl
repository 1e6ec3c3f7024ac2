// Rows by index: y[i, :] = x[index[i], :] for rows of `width` words, or zeros where index[i] isn't below `sources`. Words are
// copied as they are, whatever they stand for. With VEC, `width` counts vec4s.
// One thread a word (VEC: a vec4) of y; 64 threads a workgroup; workgroups are counted along x, then y.

//@if VEC
alias Element = vec4u;
//@else
alias Element = u32;
//@end
struct Params { rows: u32, width: u32, sources: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<Element>;
@group(0) @binding(3) var<storage, read_write> y: array<Element>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64;
  if (at >= params.rows * params.width) { return; }
  let source = index[at / params.width];
  if (source < params.sources) { y[at] = x[source * params.width + at % params.width]; }
  else { y[at] = Element(0); }
}
