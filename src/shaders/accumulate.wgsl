// total += source, in place. One thread four elements; 64 threads a workgroup; workgroups are counted along x,
// then y. What follows the last element in its four is padding.

struct Params { n: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> total: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64;
  if (i * 4 >= params.n) { return; }
  total[i] += source[i];
}
