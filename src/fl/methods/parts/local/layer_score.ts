/** Added to each eigenvalue, as in FedPepTAO's code. */
const shift = 1e-5;

/**
 * The score of a layer by one batch (FedPepTAO, arXiv 2310.15080): Σ_i (log λ_i + 1/λ_i) over the eigenvalues λ_i + 1e-5 of the matrix of
 * cosines between texts' states. Texts that aren't there, whose row is 0, are left out; a batch of none has the score 0.
 *
 * @param products X·Xᵀ of texts' states, row-major [size, size].
 */
export function layerScore(products: ArrayLike<number>, size: number): number {
  const present = Array.from({ length: size }, (_, i) => i).filter((i) => products[i * size + i]! > 0);
  const norms = present.map((i) => Math.sqrt(products[i * size + i]!));
  const cosines = present.map((i, a) =>
    present.map((j, b) => a === b ? 1 : products[i * size + j]! / (norms[a]! * norms[b]!))
  );
  // Rounding may leave an eigenvalue a little below 0, where none is.
  return eigenvalues(cosines).reduce((score, value) => {
    const lambda = Math.max(0, value) + shift;
    return score + Math.log(lambda) + 1 / lambda;
  }, 0);
}

/** Eigenvalues of a symmetric matrix, by Jacobi's rotations until nothing is left beside the diagonal. */
export function eigenvalues(matrix: readonly (readonly number[])[]): number[] {
  const a = matrix.map((row) => [...row]);
  const n = a.length;
  const offDiagonal = () => {
    let sum = 0;
    for (let p = 0; p < n; p++) for (let q = 0; q < p; q++) sum += a[p]![q]! ** 2;
    return sum;
  };
  for (let sweep = 0; sweep < 60 && offDiagonal() > 1e-28; sweep++) {
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) rotate(a, p, q);
    }
  }
  return a.map((row, i) => row[i]!);
}

/** Turns the plane of p and q so that a[p][q] is 0. */
function rotate(a: number[][], p: number, q: number): void {
  const off = a[p]![q]!;
  if (off === 0) return;
  const theta = (a[q]![q]! - a[p]![p]!) / (2 * off);
  const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
  const c = 1 / Math.hypot(t, 1);
  const s = t * c;
  for (const row of a) [row[p], row[q]] = [c * row[p]! - s * row[q]!, s * row[p]! + c * row[q]!];
  for (let k = 0; k < a.length; k++) {
    const [x, y] = [a[p]![k]!, a[q]![k]!];
    [a[p]![k], a[q]![k]] = [c * x - s * y, s * x + c * y];
  }
}
