// Conversion between f32 and pairs of f16 in u32, the first in the low bits. n f32 values; an odd last pair is filled by 0.
//
// to_half:  rounds to the nearest, ties to even, beyond 65504 to infinity; NaN stays NaN. In whole numbers, as WGSL's
//           pack2x16float leaves the rounding to the adapter.
// to_float: exact, but for values below 2^-14, which an adapter may take for 0.
// One thread a pair; 64 threads a workgroup; workgroups are counted along x, then y.

struct Params { n: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> floats: array<f32>;
@group(0) @binding(2) var<storage, read_write> halves: array<u32>;
@group(0) @binding(1) var<storage, read> storedHalves: array<u32>;
@group(0) @binding(2) var<storage, read_write> widened: array<f32>;

const INFINITY_BITS = 0x7f800000u;
const HALF_INFINITY = 0x7c00u;
const HALF_NAN = 0x7e00u;

fn half_bits(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  let sign = (bits >> 16u) & 0x8000u;
  let magnitude = bits & 0x7fffffffu;
  if (magnitude > INFINITY_BITS) { return sign | HALF_NAN; }
  if (magnitude >= 0x47800000u) { return sign | HALF_INFINITY; } // 65536
  // Below 2^-14 halves are multiples of 2^-24, and round() is to even.
  if (magnitude < 0x38800000u) { return sign | u32(round(bitcast<f32>(magnitude) * 16777216.0)); }
  let rebiased = magnitude - (112u << 23u);
  return sign | ((rebiased + 0xfffu + ((rebiased >> 13u) & 1u)) >> 13u);
}

@compute @workgroup_size(64)
fn to_half(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64;
  if (2u * i >= params.n) { return; }
  var pair = half_bits(floats[2u * i]);
  if (2u * i + 1u < params.n) { pair |= half_bits(floats[2u * i + 1u]) << 16u; }
  halves[i] = pair;
}

@compute @workgroup_size(64)
fn to_float(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64;
  if (2u * i >= params.n) { return; }
  let pair = unpack2x16float(storedHalves[i]);
  widened[2u * i] = pair.x;
  if (2u * i + 1u < params.n) { widened[2u * i + 1u] = pair.y; }
}
