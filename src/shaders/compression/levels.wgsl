// Multiples of a LEVELS-th of a magnitude, in whole numbers on the bits of floats, so that every adapter gives the same bits.
// LEVELS is at most 127.

// A magnitude is significand·2^(exponent − 150), significand below 2^24.
fn exponent_of(magnitude: u32) -> u32 { return max(magnitude >> 23u, 1u); }
fn significand_of(magnitude: u32) -> u32 {
  return (magnitude & 0x7fffffu) | select(0u, 0x800000u, magnitude >= 0x800000u);
}

// The bits of level·largest/LEVELS for level >= 1, largest > 0. The product fills its word, so the quotient has at least 25
// bits; those beyond 24, or below 2^-149, are rounded away with the remainder.
fn value_of(level: u32, largest: u32) -> u32 {
  let product = level * significand_of(largest);
  let up = countLeadingZeros(product);
  let quotient = (product << up) / LEVELS;
  let isExact = (product << up) % LEVELS == 0;
  let extra = 8 - countLeadingZeros(quotient);
  // The quotient stands for quotient·2^(exponent − up − 150).
  let exponent = exponent_of(largest) + extra;
  let drop = select(extra, extra + up + 1 - exponent, exponent < up + 1);
  let kept = quotient >> drop;
  let rest = quotient & ((1u << drop) - 1);
  let half = 1u << (drop - 1);
  let isAbove = rest > half || (rest == half && (!isExact || (kept & 1) == 1));
  let field = max(exponent, up + 1) - up;
  // A significand of 2^23 or more carries its leading bit into the exponent's field.
  return ((field - 1) << 23u) + kept + select(0u, 1u, isAbove);
}
