// Moves n 32-bit words between a contiguous array and a strided view of up to six axes.
//
// gather:  target[i] = source[offset + Σ index_d·stride_d]   (permute, slice, broadcast)
// scatter: target[offset + Σ index_d·stride_d] = source[i]   (concat, gradient of slice)
// where index is i written in the mixed radix of `extents` (outermost first, unused axes are 1).
// One thread a word; 64 threads a workgroup; workgroups are counted along x, then y.

struct Params { outerExtents: vec4u, outerStrides: vec4u, extents: vec2u, strides: vec2u, n: u32, offset: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read_write> target_: array<u32>;

fn strided(i: u32) -> u32 {
  let row = i / params.extents.y;
  var at = params.offset + (i % params.extents.y) * params.strides.y + (row % params.extents.x) * params.strides.x;
  var rest = row / params.extents.x;
  for (var axis = 3i; axis >= 0; axis--) {
    at += (rest % params.outerExtents[axis]) * params.outerStrides[axis];
    rest /= params.outerExtents[axis];
  }
  return at;
}

@compute @workgroup_size(64)
fn gather(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64;
  if (i < params.n) { target_[i] = source[strided(i)]; }
}

@compute @workgroup_size(64)
fn scatter(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64;
  if (i < params.n) { target_[strided(i)] = source[i]; }
}
