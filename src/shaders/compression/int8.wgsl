// Conversion between f32 [rows, columns] and whole numbers in 8 bits with a scale for each row, w ≈ q·s: the largest magnitude
// of a row is 127·s, and q is the nearest whole number to w/s, so that |w − q·s| <= s/2. A scale is at least 2^-126, the smallest
// normal number, and that of the largest float is one step less. A row with infinity or NaN has the scale NaN.
//
// x: the bits of f32 values; rowMaxima [rows]: as row_maxima of quantize.wgsl makes them; stored: the rows in words =
// ceil(columns / 4) u32 each, four q in a word, the first in the low bits, and zeros at a row's end; then the bits of the scales.
//
// to_int8:    in whole numbers, so that every adapter gives the same bits (WGSL bounds the error of a division and leaves its
//             rounding to the adapter). q is the nearest to w/s for the scale as it is stored, ties to even.
// from_int8:  q·s, rounded once.
// One thread a word of q; 64 threads a workgroup; workgroups are counted along x, then y.
//@include "levels.wgsl"

struct Params { rows: u32, columns: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> rowMaxima: array<u32>;
@group(0) @binding(3) var<storage, read_write> stored: array<u32>;
@group(0) @binding(1) var<storage, read> packed: array<u32>;
@group(0) @binding(2) var<storage, read_write> floats: array<f32>;

const LEVELS = 127u;
const MAGNITUDE = 0x7fffffffu;
const INFINITY_BITS = 0x7f800000u;
const NAN_BITS = 0x7fc00000u;
const SMALLEST_NORMAL = 0x00800000u;

fn scale_of(largest: u32) -> u32 {
  if (largest >= INFINITY_BITS) { return NAN_BITS; }
  if (largest == 0u) { return SMALLEST_NORMAL; }
  // 127 times the scale of the largest float must not round to infinity.
  let excess = select(0u, 1u, largest == INFINITY_BITS - 1u);
  return max(value_of(1u, largest) - excess, SMALLEST_NORMAL);
}

// The nearest whole number to magnitude/scale, which is below 127.5: so the exponents are at most 7 apart upwards, and all
// fits into a word. Where the scale is four times as large or more, it is 0.
fn nearest_level(magnitude: u32, scale: u32) -> u32 {
  let up = i32(exponent_of(magnitude)) - i32(exponent_of(scale));
  if (up < -1) { return 0u; }
  let dividend = significand_of(magnitude) << u32(max(up, 0));
  let divisor = significand_of(scale) << u32(max(-up, 0));
  // A division of floats misses by far less than one, on every adapter; a CPU divides whole numbers lane by lane.
  let guess = u32(f32(dividend) / f32(divisor));
  let miss = i32(dividend - guess * divisor);
  let level = guess + u32(select(select(0, 1, miss >= i32(divisor)), -1, miss < 0));
  let twice = 2u * (dividend - level * divisor);
  return level + select(0u, 1u, twice > divisor || (twice == divisor && level % 2u == 1u));
}

@compute @workgroup_size(64)
fn to_int8(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64;
  let words = (params.columns + 3u) / 4u;
  if (at >= params.rows * words) { return; }
  let row = at / words;
  let quad = at % words;
  let scale = scale_of(rowMaxima[row]);
  var word = 0u;
  for (var j = 0u; j < min(4u, params.columns - 4u * quad); j++) {
    let bits = x[row * params.columns + 4u * quad + j];
    if (scale != NAN_BITS) {
      let level = nearest_level(bits & MAGNITUDE, scale);
      word |= (select(level, 0u - level, bits > MAGNITUDE) & 0xffu) << (8u * j);
    }
  }
  stored[at] = word;
  if (quad == 0u) { stored[params.rows * words + row] = scale; }
}

@compute @workgroup_size(64)
fn from_int8(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64;
  let words = (params.columns + 3u) / 4u;
  if (at >= params.rows * words) { return; }
  let row = at / words;
  let quad = at % words;
  let scale = bitcast<f32>(packed[params.rows * words + row]);
  let word = packed[at];
  for (var j = 0u; j < min(4u, params.columns - 4u * quad); j++) {
    floats[row * params.columns + 4u * quad + j] = f32(i32(word << (24u - 8u * j)) >> 24u) * scale;
  }
}
