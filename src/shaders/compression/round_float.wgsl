// Rounds f32 values to a shorter float and back: y = widen(round(x)), to the nearest, ties to even. FORMAT is F16 (11 bits,
// from 2^-24 to 65504) or BF16 (8 bits, the range of f32). What would round to infinity becomes the largest finite value;
// infinity and NaN stay what they are.
//
// All of it is done on the bits, in whole numbers: WGSL leaves the direction of a float's rounding to the adapter, and lets
// it take denormals for 0. So every adapter gives the bits that the host gives.
//
// x, y: the bits of n f32 values. One thread a value; 64 threads a workgroup; workgroups are counted along x, then y.

struct Params { n: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

const F16 = 0; const BF16 = 1;
const INFINITY_BITS = 0x7f800000u;

// v with its last `count` bits rounded away, and zeros in their place.
fn without_last(v: u32, count: u32) -> u32 {
  return ((v + (1u << (count - 1u)) - 1u + ((v >> count) & 1u)) >> count) << count;
}

// A magnitude below 2^-14, as a multiple of 2^-24. The float operations are exact: the whole number is at most 1024.
fn small_half(magnitude: u32) -> u32 {
  let exponent = magnitude >> 23u;
  // Below 2^-25, which all denormals are.
  if (exponent < 102u) { return 0u; }
  let shift = 126u - exponent;
  let units = without_last((magnitude & 0x7fffffu) | 0x800000u, shift) >> shift;
  return bitcast<u32>(f32(units) * 5.9604644775390625e-8);
}

fn rounded(magnitude: u32) -> u32 {
  if (magnitude >= INFINITY_BITS) { return magnitude; }
  if (FORMAT == BF16) { return min(without_last(magnitude, 16), 0x7f7f0000u); }
  if (magnitude < 0x38800000u) { return small_half(magnitude); }
  return min(without_last(magnitude, 13), 0x477fe000u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64;
  if (i >= params.n) { return; }
  y[i] = (x[i] & 0x80000000u) | rounded(x[i] & 0x7fffffffu);
}
