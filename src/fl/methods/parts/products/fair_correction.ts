/**
 * What a layer's correction is found from, by the singular vectors of Ā = U·D·Vᵀ: with G = M·Āᵀ·U and B = B̄·U, M being the exact mean of the
 * clients' updates, the inner products of their columns.
 */
export interface FairTerms {
  /** ⟨g_j, g_j⟩. */
  readonly gg: ArrayLike<number>;
  /** ⟨g_j, b_j⟩. */
  readonly gb: ArrayLike<number>;
  /** ⟨b_j, b_j⟩. */
  readonly bb: ArrayLike<number>;
  /** Singular values of Ā. */
  readonly s: ArrayLike<number>;
  /** ‖M‖_F. */
  readonly norm: number;
}

/** A correction ΔB = (G·diag(p) + B·diag(q))·Uᵀ. */
export interface FairCorrection {
  readonly p: Float64Array;
  readonly q: Float64Array;
}

/** Most steps, which small singular values need. */
const maxSteps = 20_000;

/**
 * The minimum of 1 − cos(M, (B̄ + ΔB)·Ā) + λ·‖ΔB‖_F over ΔB (LoRA-FAIR, arXiv 2411.14961), found by proximal gradient steps on the host:
 * they stay in the span of G and B column by column, so one takes some r operations and no matrix of the layer. There is no correction where
 * M or B̄·Ā is zero, as no angle is defined.
 */
export function fairCorrection({ gg, gb, bb, s, norm }: FairTerms, lambda: number): FairCorrection {
  const rank = s.length;
  const [p, q] = [new Float64Array(rank), new Float64Array(rank)];
  const d = Float64Array.from(s, (value) => value ** 2);
  const largest = Math.max(...d);
  const sum = (term: (j: number) => number) => d.reduce((total, _, j) => total + term(j), 0);
  /** Σ_j weight_j·‖x·g_j + y·b_j‖². */
  const squares = (x: Float64Array, y: (j: number) => number, weight: (j: number) => number) =>
    sum((j) => weight(j) * (x[j]! ** 2 * gg[j]! + 2 * x[j]! * y(j) * gb[j]! + y(j) ** 2 * bb[j]!));
  const size = Math.sqrt(sum((j) => bb[j]!));
  for (let step = 0; step < maxSteps; step++) {
    const length2 = squares(p, (j) => 1 + q[j]!, (j) => d[j]!);
    if (!(length2 > 0 && norm > 0)) break;
    const length = Math.sqrt(length2);
    const cosine = sum((j) => p[j]! * gg[j]! + (1 + q[j]!) * gb[j]!) / (norm * length);
    // The curvature of a cosine is at most √2·‖Ā‖²/‖B·Ā‖².
    const rate = 0.5 * length2 / largest;
    const [before, beforeQ] = [p.slice(), q.slice()];
    for (let j = 0; j < rank; j++) {
      const shrink = rate * cosine * d[j]! / length2;
      q[j]! -= shrink * (1 + q[j]!);
      p[j]! += rate / (norm * length) - shrink * p[j]!;
    }
    const moved = Math.sqrt(Math.max(0, squares(p, (j) => q[j]!, () => 1)));
    const left = moved > rate * lambda ? 1 - rate * lambda / moved : 0;
    for (let j = 0; j < rank; j++) {
      p[j]! *= left;
      q[j]! *= left;
    }
    const change = squares(p.map((x, j) => x - before[j]!), (j) => q[j]! - beforeQ[j]!, () => 1);
    if (change <= (1e-10 * size) ** 2) break;
  }
  return { p, q };
}
