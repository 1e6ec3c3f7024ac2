// Moves n 32-bit words between a contiguous array and a strided view of up to six axes.
//
// gather:  target[i] = source[offset + Σ index_d·stride_d]   (permute, slice, broadcast)
// scatter: target[offset + Σ index_d·stride_d] = source[i]   (concat, gradient of slice)
// where index is i written in the mixed radix of `extents` (outermost first, unused axes are 1).
// With QUADS the extent of the last axis is a multiple of 4, the contiguous array is bound as vec4u, and a
// thread takes four neighbouring words, else one. 64 threads a workgroup; workgroups are counted along x, then y.

struct Params { outerExtents: vec4u, outerStrides: vec4u, extents: vec2u, strides: vec2u, n: u32, offset: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read_write> target_: array<u32>;
@group(0) @binding(1) var<storage, read> source4: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> target4: array<vec4u>;

fn strided(i: u32) -> u32 {
  let row = i / params.extents.y;
  var at = params.offset + (i % params.extents.y) * params.strides.y + (row % params.extents.x) * params.strides.x;
  var rest = row / params.extents.x;
  for (var axis = 3i; axis >= 0 && rest > 0; axis--) {
    at += (rest % params.outerExtents[axis]) * params.outerStrides[axis];
    rest /= params.outerExtents[axis];
  }
  return at;
}

@compute @workgroup_size(64)
fn gather(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64;
//@if QUADS
  if (4u * i >= params.n) { return; }
  let at = strided(4u * i);
  let step = params.strides.y;
  target4[i] = vec4u(source[at], source[at + step], source[at + 2u * step], source[at + 3u * step]);
//@else
  if (i < params.n) { target_[i] = source[strided(i)]; }
//@end
}

@compute @workgroup_size(64)
fn scatter(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64;
//@if QUADS
  if (4u * i >= params.n) { return; }
  let v = source4[i];
  let at = strided(4u * i);
//@for k in 0..4
  target_[at + {k}u * params.strides.y] = v[{k}];
//@end
//@else
  if (i < params.n) { target_[strided(i)] = source[i]; }
//@end
}
