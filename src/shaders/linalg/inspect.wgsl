// What must be known of matrices before they are decomposed: stats [N, 2] has, for each, the bits of the largest |x|, and
// 2^32 − 1 − the first index that isn't finite (0 where all are). Zero to begin with.
//
// x: matrices of `reads` vec4s (QUADS) or floats; the first of them has the number `first` in stats. Of its matrix, workgroup_id.z,
// a thread reads each `threads`-th element. 64 threads a workgroup.

struct Params { reads: u32, threads: u32, first: u32 }
@group(0) @binding(0) var<uniform> params: Params;
//@if QUADS
@group(0) @binding(1) var<storage, read> x: array<vec4u>;
fn bits_of(i: u32) -> vec4u { return x[i] & vec4u(0x7fffffff); }
const WIDTH = 4u;
//@else
@group(0) @binding(1) var<storage, read> x: array<u32>;
fn bits_of(i: u32) -> vec4u { return vec4u(x[i] & 0x7fffffffu); }
const WIDTH = 1u;
//@end
@group(0) @binding(2) var<storage, read_write> stats: array<atomic<u32>>;

const infinity = 0x7f800000u;

fn largest_of(bits: vec4u) -> u32 { return max(max(bits.x, bits.y), max(bits.z, bits.w)); }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let base = id.z * params.reads;
  var each = vec4u(0);
  for (var i = id.x; i < params.reads; i += params.threads) { each = max(each, bits_of(base + i)); }
  let largest = largest_of(each);
  let at = 2u * (params.first + id.z);
  if (largest > 0u) { atomicMax(&stats[at], largest); }
  if (largest < infinity) { return; }
  for (var i = id.x; i < params.reads; i += params.threads) {
    let bits = bits_of(base + i);
    if (largest_of(bits) < infinity) { continue; }
    let within = select(select(select(3u, 2u, bits.z >= infinity), 1u, bits.y >= infinity), 0u, bits.x >= infinity);
    atomicMax(&stats[at + 1u], 0xffffffffu - (i * WIDTH + within));
    return;
  }
}
