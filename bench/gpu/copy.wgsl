// Copies `quads` vec4f from x to y: VECTORS of them a thread, 256 threads a workgroup, so that neighbours read neighbouring
// ones at each turn. Workgroups are counted along x, then y.
struct Params { quads: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let first = (group.x + group.y * groups.x) * 256u * VECTORS + thread;
  for (var i = 0u; i < VECTORS; i++) {
    let at = first + i * 256u;
    if (at < params.quads) { y[at] = x[at]; }
  }
}
