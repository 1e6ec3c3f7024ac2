// Inverse Cholesky factors of N Gram matrices: gram[b] ≈ L·Lᵀ, inverse[b] = L⁻¹, lower triangular with zeros above.
//
// gram, inverse [N, n, n], n ≤ 64. Each pivot is raised by SHIFT times itself, so that columns which are dependent to rounding
// come out finite (Fukaya et al., SIAM J. Sci. Comput. 42, 2020, with a shift relative to each column); a column of zeros stays.
//
// Gaussian elimination on [gram | I] in one square: above the diagonal stands what is left of gram, below it L⁻¹. A workgroup
// takes GROUPS matrices, LANES threads each; a thread has every LANES-th column. With one lane there is no barrier.

struct Params { n: u32, batch: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gram: array<f32>;
@group(0) @binding(2) var<storage, read_write> inverse: array<f32>;

fn wait_for_lanes() { if (LANES > 1) { storageBarrier(); } }

@compute @workgroup_size(LANES, GROUPS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let b = group.x * GROUPS + local.y;
  let n = select(0u, params.n, b < params.batch);
  let base = b * params.n * params.n;
  for (var c = local.x; c < n; c += LANES) {
    for (var i = 0u; i < n; i++) {
      let value = gram[base + i * n + c];
      inverse[base + i * n + c] = select(0.0, select(value, fma(SHIFT, value, value), i == c), i <= c);
    }
  }
  for (var k = 0u; k < params.n; k++) {
    wait_for_lanes();
    var scale = 0.0;
    if (k < n) {
      let pivot = max(inverse[base + k * n + k], SHIFT * gram[base + k * n + k]);
      if (pivot > 0.0) { scale = inverseSqrt(pivot); }
    }
    wait_for_lanes();
    for (var c = local.x; c < n; c += LANES) {
      let at = base + k * n + c;
      inverse[at] = select(scale * inverse[at], scale, c == k);
    }
    wait_for_lanes();
    // Row i of what is left, right of its diagonal, and of L⁻¹, up to column k.
    for (var c = local.x; c < n; c += LANES) {
      let own = inverse[base + k * n + c];
      for (var i = k + 1u; i < n; i++) {
        if (c <= k || c >= i) {
          let at = base + i * n + c;
          inverse[at] = fma(-inverse[base + k * n + i], own, inverse[at]);
        }
      }
    }
  }
  wait_for_lanes();
  for (var c = local.x; c < n; c += LANES) {
    for (var i = 0u; i < c; i++) { inverse[base + i * n + c] = 0.0; }
  }
}

