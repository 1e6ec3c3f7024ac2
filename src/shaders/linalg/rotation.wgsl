// The Jacobi rotation of a pair of rows, for the block kernels. Rows shorter than 2^-50 count as zero: they neither
// rotate nor enter the cosines.
const negligible = 0x1p-100f;

// sin θ and tan(θ/2) of the rotation x − s·(y + h·x), y + s·(x − h·y) (Rutishauser) that makes a pair orthogonal, from ‖x‖²,
// ‖y‖² and x·y; 0 where its cosine is at most `enough`.
fn rotation_of(alpha: f32, beta: f32, gamma: f32, enough: f32) -> vec2f {
  let bound = enough * sqrt(max(alpha, 0.0)) * sqrt(max(beta, 0.0));
  let rotates = abs(gamma) > bound && min(alpha, beta) > negligible;
  let zeta = (beta - alpha) / (2.0 * select(1.0, gamma, rotates));
  // Beyond 2^12, √(1 + ζ²) is |ζ| to the last bit, and ζ² might overflow.
  let size = abs(zeta);
  let near = min(size, 4096.0);
  let tangent = select(1.0, -1.0, zeta < 0.0) / (size + select(size, sqrt(fma(near, near, 1.0)), size < 4096.0));
  let h = select(0.0, tangent / (1.0 + sqrt(fma(tangent, tangent, 1.0))), rotates);
  // One Newton step for the quotient: a driver's inexact division would stretch the rows.
  let divisor = fma(h, h, 1.0);
  let quotient = 1.0 / divisor;
  let rough = 2.0 * h * quotient;
  return vec2f(fma(fma(-rough, divisor, 2.0 * h), quotient, rough), h);
}
