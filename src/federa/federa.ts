import {
  clone,
  concat,
  disposeAll,
  NonFiniteError,
  type Precision,
  reshape,
  slice,
  type Tensor,
  tidy,
  unrounded,
} from "../engine/mod.ts";
import { jacobiSvd, randomizedSvd } from "../engine/linalg/mod.ts";
import type { Initialization, InitializedFactors } from "./initialization.ts";
import { leadingFactors, type LeadingFactorsOptions } from "./leading_factors.ts";
import { precisionOf, residualWeight } from "./residual.ts";

/** Options of {@linkcode federa}. */
export interface FederaOptions {
  /** Randomized SVD of rank r by default; `"exact"` for the full one by Jacobi rotations. */
  readonly svd?: "randomized" | "exact";
  /** How the singular values are shared out; see {@linkcode leadingFactors}. */
  readonly split?: LeadingFactorsOptions["split"];
}

/**
 * FeDeRA's start (arXiv 2404.18848): with W = U·S·Vᵀ, B₀ = U_r·√(S_r/s) and A₀ = √(S_r/s)·V_rᵀ are trained, and
 * W − s·B₀·A₀ is frozen, in the weight's precision. So the output at step 0 is the pretrained one, whatever the rank and alpha; both the SVD and the
 * residual are of the weight before it was rounded. Weights of one
 * shape are decomposed as one batch.
 */
export function federa(options: FederaOptions = {}): Initialization {
  const { svd = "randomized", split } = options;
  return async (weights, { rank, scaling, seed, names }) => {
    const batch = await gather(weights);
    try {
      const { u, s, vt } = svd === "exact"
        ? await jacobiSvd(batch)
        : await randomizedSvd(batch, { rank, seed });
      try {
        return tidy(() =>
          weights.map((weight, i) => {
            const [left, values, right] = [u, s, vt].map((each) => memberOf(each, i));
            const options = { rank, scaling, split, precision: precisionOf(weight) };
            return takeOut(memberOf(batch, i), { u: left!, s: values!, vt: right! }, options);
          })
        );
      } finally {
        for (const each of [u, s, vt]) each.dispose();
      }
    } catch (error) {
      if (!(error instanceof NonFiniteError)) throw error;
      throw new NonFiniteError(`Cannot initialise one of ${names.join(", ")}: ${error.message}`);
    } finally {
      batch.dispose();
    }
  };
}

/** Weights of one shape [out, in] as they were before they were rounded, [N, out, in]. */
async function gather(weights: readonly Tensor[]): Promise<Tensor> {
  const whole: Tensor[] = [];
  try {
    for (const weight of weights) whole.push(await unrounded(weight));
    return tidy(() => concat(whole.map((each) => reshape(each, [1, ...each.shape]))));
  } finally {
    disposeAll(whole);
  }
}

function memberOf(batch: Tensor, i: number): Tensor {
  return reshape(slice(batch, { start: i, end: i + 1 }), batch.shape.slice(1));
}

/** The leading `rank` triplets as factors, and the weight without them. */
function takeOut(
  weight: Tensor,
  svd: { u: Tensor; s: Tensor; vt: Tensor },
  options: LeadingFactorsOptions & { readonly precision: Precision },
): InitializedFactors {
  const { loraA, loraB } = leadingFactors(svd, options);
  return {
    weight: residualWeight(weight, { ...options, loraA, loraB }),
    loraA,
    loraB,
    // Training overwrites the factors in place.
    initial: { loraA: clone(loraA), loraB: clone(loraB) },
  };
}
