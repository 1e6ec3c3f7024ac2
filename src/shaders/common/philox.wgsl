// Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3): 128
// random bits from a 128-bit counter, a bijection for each 64-bit key; the same function as philox4x32 on the host.

// High and low words of a 32×32-bit product.
fn mul_wide(a: u32, b: u32) -> vec2u {
  let al = a & 0xffffu; let ah = a >> 16u; let bl = b & 0xffffu; let bh = b >> 16u;
  let mid = ah * bl + ((al * bl) >> 16u);
  let mid2 = al * bh + (mid & 0xffffu);
  return vec2u(ah * bh + (mid >> 16u) + (mid2 >> 16u), a * b);
}

fn philox(start: vec4u, firstKey: vec2u) -> vec4u {
  var counter = start;
  var key = firstKey;
  for (var round = 0; round < 10; round++) {
    let p0 = mul_wide(0xd2511f53u, counter.x);
    let p1 = mul_wide(0xcd9e8d57u, counter.z);
    counter = vec4u(p1.x ^ counter.y ^ key.x, p1.y, p0.x ^ counter.w ^ key.y, p0.y);
    key += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return counter;
}
