import {
  abs,
  add,
  assign,
  keepLargest,
  maximum,
  mul,
  reshape,
  type Tensor,
  tensor,
  where,
  zeros,
} from "../../../../engine/mod.ts";
import type { LocalRule } from "../../../method.ts";
import { perMember, shapesOf, take, type Tensors } from "../../../tensors.ts";
import { layersOf, withoutPart } from "../adapters/layer_names.ts";

/** The part of a layer whose gradient tells of its inputs. */
export const NORMS = "inputNorms";

/** Options of {@linkcode inputPruning}. */
export interface InputPruningOptions {
  /** Steps from one pruning to the next. */
  readonly pruneEvery: number;
  /** The share of each row of A that is set to zero. */
  readonly pruneShare: number;
  /** How much of the moving average of input norms stays each step. */
  readonly decay: number;
}

/**
 * Observes the inputs of layers, every few steps sets the entries of A to zero that matter least (PRILoRA, arXiv 2401.11316), and sends
 * A and B alone.
 */
export function inputPruning(
  global: Tensors,
  { pruneEvery, pruneShare, decay }: InputPruningOptions,
): LocalRule {
  const layers = layersOf(global);
  return {
    sums: new Map([...shapesOf(global)].filter(([name]) => name.endsWith(`.${NORMS}`))),
    correct(gradients, values, { sums, step, steps }) {
      for (const layer of layers) {
        const found = take(gradients, `${layer}.${NORMS}`);
        const average = take(sums, `${layer}.${NORMS}`);
        assign(average, add(mul(average, decay), mul(found, 1 - decay)));
        // Nothing moves what stands for the inputs.
        assign(found, zeros(found.gpu, found.shape));
        if (step % pruneEvery !== 0) continue;
        const a = take(values, `${layer}.loraA`);
        // A client that has done its steps stays as it is.
        const isActive = tensor(a.gpu, steps.map((count) => count >= step ? 1 : 0));
        assign(a, where(perMember(isActive, a), { then: pruned(a, average, pruneShare), otherwise: a }));
      }
    },
    finish: (values) => ({ upload: withoutPart(values, NORMS) }),
  };
}

/** A [C, r, in] without the share of each row whose |A_ij|·norm_j is smallest. */
function pruned(a: Tensor, norms: Tensor, share: number): Tensor {
  const [members, rank, width] = a.shape as [number, number, number];
  // Above 0, so that a 0 in the result means that it was not kept.
  const size = maximum(mul(abs(a), reshape(norms, [members, 1, width])), tensor(a.gpu, [1e-37]));
  const importance = reshape(size, [members * rank, width]);
  const count = width - Math.floor(share * width);
  const [kept] = keepLargest([importance], new Array<number>(members * rank).fill(count));
  return where(reshape(kept!, a.shape), { then: a, otherwise: zeros(a.gpu, []) });
}
