import {
  clone,
  concat,
  disposeAll,
  matmul,
  NonFiniteError,
  reshape,
  slice,
  type Tensor,
  tidy,
  unrounded,
} from "../../engine/mod.ts";
import { jacobiSvd, randomizedSvd, type Svd } from "../../engine/linalg/mod.ts";
import type { LowRankFactors } from "../layers/factored_linear.ts";
import type { Initialization, InitializationOptions, InitializedFactors } from "./initialization.ts";
import { leadingBases, leadingFactors, type LeadingFactorsOptions } from "./leading_factors.ts";
import { precisionOf, residualWeight } from "./residual.ts";

/** Options of {@linkcode federa}. */
export interface FederaOptions {
  /** Randomized SVD of rank r by default; `"exact"` for the full one by Jacobi rotations. */
  readonly svd?: "randomized" | "exact";
  /** How the singular values are shared out; see {@linkcode leadingFactors}. */
  readonly split?: LeadingFactorsOptions["split"];
  /** Whether A = V_rᵀ and B = U_r are frozen beside R₀ = diag(S_r)/s, which is trained; see {@linkcode leadingBases}. */
  readonly hasCore?: boolean;
}

/**
 * FeDeRA's start (arXiv 2404.18848): with W = U·S·Vᵀ, B₀ = U_r·√(S_r/s) and A₀ = √(S_r/s)·V_rᵀ are trained, and
 * W − s·B₀·A₀ is frozen, in the weight's precision. So the output at step 0 is the pretrained one, whatever the rank and alpha;
 * both the SVD and the residual are of the weight before it was rounded.
 *
 * Weights of one shape are decomposed together. The randomized SVD reads them where they lie and makes no copy; the exact one
 * copies a few at a time. On the weights of three encoders with ranks 4 to 32, ‖W − s·B₀·A₀‖_F of the randomized SVD was within
 * 1 % of the exact one's: see {@linkcode randomizedSvd}.
 */
export function federa(options: FederaOptions = {}): Initialization {
  const { svd = "randomized" } = options;
  return async (weights, { names, onProgress, ...rest }) => {
    const found: InitializedFactors[] = [];
    try {
      for (const some of batchesOf(weights, svd === "exact" ? undefined : rest.rank)) {
        found.push(...await initialize(some, { ...options, ...rest }));
        onProgress?.(found.length);
      }
      return found;
    } catch (error) {
      for (const { weight, initial, ...factors } of found) {
        disposeAll([weight, ...Object.values<Tensor>({ ...factors, ...initial })]);
      }
      if (!(error instanceof NonFiniteError)) throw error;
      throw new NonFiniteError(`Cannot initialise one of ${names.join(", ")}: ${error.message}`);
    }
  };
}

/**
 * Bytes that are worked on at once: weights that the exact SVD copies (seven of BERT-base's square ones; it needs some five times
 * as much) or whose f32 values are read again, or the rows of the randomized one's sketch.
 */
const batchBytes = 2 ** 24;

/** Weights of one shape that are decomposed at once: exactly, or to a rank. */
function batchesOf(weights: readonly Tensor[], rank: number | undefined): Tensor[][] {
  const { shape, size } = weights[0]!;
  const isReadInPlace = rank !== undefined && weights.every(({ dtype }) => dtype === "f32");
  const floats = isReadInPlace ? (rank + 16) * Math.max(...shape) : size;
  const each = Math.max(1, Math.floor(batchBytes / (4 * floats)));
  return Array.from(
    { length: Math.ceil(weights.length / each) },
    (_, i) => weights.slice(i * each, (i + 1) * each),
  );
}

type Settings = FederaOptions & Pick<InitializationOptions, "rank" | "scaling" | "seed">;

async function initialize(
  weights: readonly Tensor[],
  { svd, rank, scaling, seed, split, hasCore = false }: Settings,
): Promise<InitializedFactors[]> {
  const whole: Tensor[] = [];
  try {
    for (const weight of weights) whole.push(await unrounded(weight));
    const { u, s, vt } = await (svd === "exact" ? exactSvd(whole) : randomizedSvd(whole, { rank, seed }));
    try {
      return tidy(() => {
        const decomposed = { u, s, vt };
        const { loraR, ...factors }: LowRankFactors & { readonly loraR?: Tensor } = hasCore
          ? leadingBases(decomposed, { rank, scaling })
          : leadingFactors(decomposed, { rank, scaling, split });
        return weights.map((weight, i) => {
          const own = { loraA: memberOf(factors.loraA, i), loraB: memberOf(factors.loraB, i) };
          const core = loraR && memberOf(loraR, i);
          // Training overwrites in place what it trains.
          const initial = core
            ? { loraA: matmul(core, own.loraA), loraB: own.loraB.detach() }
            : { loraA: clone(own.loraA), loraB: clone(own.loraB) };
          const precision = precisionOf(weight);
          return {
            weight: residualWeight(whole[i]!, { ...initial, scaling, precision }),
            ...own,
            ...(core && { loraR: core }),
            initial,
          };
        });
      });
    } finally {
      disposeAll([u, s, vt]);
    }
  } finally {
    disposeAll(whole);
  }
}

async function exactSvd(weights: readonly Tensor[]): Promise<Svd> {
  using batch = tidy(() => concat(weights.map((weight) => reshape(weight, [1, ...weight.shape]))));
  return await jacobiSvd(batch);
}

/** A copy of one of a batch. */
function memberOf(batch: Tensor, i: number): Tensor {
  return reshape(slice(batch, { start: i, end: i + 1, copy: true }), batch.shape.slice(1));
}
