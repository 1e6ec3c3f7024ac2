// Quantisation of rows with stochastic rounding, and back (QSGD, Alistarh et al., arXiv 1610.02132, section 3.1, with the
// row's largest magnitude m in place of its norm): each x becomes q = ±⌊LEVELS·|x|/m + u⌋, u uniform in [0, 1), and
// y = q·m/LEVELS, so that E[y] = x. LEVELS is at most 127.
//
// All of it is done in whole numbers, on the bits of the floats: WGSL bounds the error of a float's division and leaves the
// direction of every rounding to the adapter, and lets it take denormals for 0. So every adapter gives the bits that the host
// gives. The quotient is rounded to the nearest, ties to even, as IEEE 754 has it; the bias of q is below 2^-31.
//
// x, y: the bits of f32 values [rows, columns]; rowMaxima [rows]; keys [members, 2], rowsPerMember rows each. The draws of
// row r of a member are Philox's under the member's key: words of the counters (column / 4, r, site0, site1). They don't
// change when rows or columns are added at the end.
//
// row_maxima: rowMaxima = the largest magnitude of each row, as bits. LANES threads a row, GROUPS rows a workgroup, which is
//             @workgroup_size(LANES, GROUPS), LANES a power of two.
// quantize:   one thread for four columns of a row; 64 threads a workgroup. Where a row holds infinity or NaN, all of it
//             becomes NaN.
// Workgroups are counted along x, then y.
//@include "../common/philox.wgsl"
//@include "levels.wgsl"

struct Params { rows: u32, columns: u32, rowsPerMember: u32, site0: u32, site1: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> maxima: array<u32>;
@group(0) @binding(2) var<storage, read> rowMaxima: array<u32>;
@group(0) @binding(3) var<storage, read> keys: array<vec2u>;
@group(0) @binding(4) var<storage, read_write> y: array<u32>;

const MAGNITUDE = 0x7fffffffu;
const INFINITY_BITS = 0x7f800000u;
const NAN_BITS = 0x7fc00000u;

var<workgroup> laneMaxima: array<u32, LANES * GROUPS>;

@compute @workgroup_size(LANES, GROUPS)
fn row_maxima(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let row = (group.x + group.y * groups.x) * GROUPS + local.y;
  var largest = 0u;
  if (row < params.rows) {
    for (var column = local.x; column < params.columns; column += LANES) {
      largest = max(largest, x[row * params.columns + column] & MAGNITUDE);
    }
  }
  if (LANES > 1) {
    let base = local.y * LANES;
    laneMaxima[base + local.x] = largest;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (local.x < half) {
        laneMaxima[base + local.x] = max(laneMaxima[base + local.x], laneMaxima[base + local.x + half]);
      }
    }
    largest = laneMaxima[base + local.x];
  }
  if (row < params.rows && local.x == 0) { maxima[row] = largest; }
}

// ⌊LEVELS·magnitude/largest + draw/2^32⌋ for 0 < magnitude <= largest: a whole quotient, and one more with a probability
// of remainder/divisor. A shift of more than 8 would push the divisor out of its word; the dividend then loses its last
// bits instead, less than 2^-31 of the divisor.
fn level_of(magnitude: u32, largest: u32, draw: u32) -> u32 {
  let apart = exponent_of(largest) - exponent_of(magnitude);
  let shift = min(apart, 8u);
  let divisor = significand_of(largest) << shift;
  let dividend = (significand_of(magnitude) * LEVELS) >> min(apart - shift, 31u);
  let level = dividend / divisor;
  return level + select(0u, 1u, mul_wide(draw, divisor).x < dividend - level * divisor);
}

@compute @workgroup_size(64)
fn quantize(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64;
  let quads = (params.columns + 3) / 4;
  if (at >= params.rows * quads) { return; }
  let row = at / quads;
  let quad = at % quads;
  let largest = rowMaxima[row];
  let counter = vec4u(quad, row % params.rowsPerMember, params.site0, params.site1);
  let words = philox(counter, keys[row / params.rowsPerMember]);
  for (var j = 0u; j < min(4, params.columns - 4 * quad); j++) {
    let i = row * params.columns + 4 * quad + j;
    let magnitude = x[i] & MAGNITUDE;
    var result = 0u;
    if (largest >= INFINITY_BITS) {
      result = NAN_BITS;
    } else if (magnitude > 0) {
      let level = level_of(magnitude, largest, words[j]);
      if (level > 0) { result = (x[i] & ~MAGNITUDE) | value_of(level, largest); }
    }
    y[i] = result;
  }
}
