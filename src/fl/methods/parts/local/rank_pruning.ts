import {
  accumulate,
  add,
  disposeAll,
  div,
  mul,
  ones,
  reshape,
  sqrt,
  sumOfSquares,
  type Tensor,
  tidy,
  where,
} from "../../../../engine/mod.ts";
import type { Uploads } from "../../../aggregation/aggregator.ts";
import type { LocalRule, Ranks } from "../../../method.ts";
import { take, type Tensors } from "../../../tensors.ts";
import { layersOf } from "../adapters/layer_names.ts";
import { factorsOf, termMask } from "../adapters/terms.ts";

/** The rank that is left when a tail is pruned: ⌊γ·r⌋, at least 1. */
export function prunedRank(rank: number, gamma: number): number {
  return Math.max(1, Math.floor(gamma * rank));
}

/**
 * Adds λ·Σ ‖B_t‖_F·‖A_t‖_F over all layers to each client's loss, by its gradient: A_t and B_t are the terms of a client from
 * ⌊γ·r_k⌋ on.
 */
export function tailPenalty({ gamma, lambda }: PruningOptions): LocalRule {
  return {
    correct(gradients, values, { clients, ranks }) {
      const all = clients.map(({ id }) => ranks!.of(id));
      for (const layer of layersOf(values)) {
        const { a, b, sizeA, sizeB } = tailOf(layer, values, { ranks: all, gamma });
        // Nothing pulls where a tail is zero.
        const slope = (other: Tensor, own: Tensor) =>
          mul(div(other, where(own, { then: own, otherwise: ones(own.gpu, [1]) })), lambda);
        accumulate(take(gradients, `${layer}.loraA`), mul(a, slope(sizeB, sizeA)));
        accumulate(take(gradients, `${layer}.loraB`), mul(b, slope(sizeA, sizeB)));
      }
    },
  };
}

/** How ranks are pruned. */
export interface PruningOptions {
  /** γ: the share of a rank that is left. */
  readonly gamma: number;
  /** λ: what the tail beyond it weighs in the loss. */
  readonly lambda: number;
}

/** What is left of uploads. */
export interface PrunedTails {
  /** The factors [C, ...], without the tails that are dropped; the caller disposes them. */
  readonly factors: Tensors;
  /** The rank that each client is left with. */
  readonly left: readonly number[];
}

/**
 * Drops the tail of each client for which Σ ‖B_t‖_F·‖A_t‖_F over all layers became smaller than what it started from.
 *
 * @param start the global values at the start of the round.
 */
export async function pruneTails(
  { clients, values }: Uploads,
  start: Tensors,
  { ranks, gamma }: { readonly ranks: Ranks; readonly gamma: number },
): Promise<PrunedTails> {
  const own = clients.map(({ id }) => ranks.of(id));
  const sizes = tidy(() =>
    [values, start].map((of) =>
      layersOf(start).map((layer) => {
        const { sizeA, sizeB } = tailOf(layer, of, { ranks: own, gamma });
        return reshape(mul(sizeA, sizeB), [-1]);
      }).reduce((sum, size) => add(sum, size))
    )
  );
  try {
    const [after, before] = await Promise.all(sizes.map((size) => size.floats()));
    const left = own.map((rank, k) => after![k]! < before![k]! ? prunedRank(rank, gamma) : rank);
    return { factors: withoutTails(values, left), left };
  } finally {
    disposeAll(sizes);
  }
}

/** Factors without the terms from a rank of each client's on. */
function withoutTails(values: Tensors, ranks: readonly number[]): Map<string, Tensor> {
  const ranges = ranks.map((end) => [0, end] as const);
  return tidy(() =>
    new Map(factorsOf(values).map((factor) => [factor.name, mul(factor.value, termMask(factor, ranges))]))
  );
}

/** The tails of clients in one layer, and their norms, [C, 1, 1]. */
function tailOf(
  layer: string,
  values: Tensors,
  { ranks, gamma }: { readonly ranks: readonly number[]; readonly gamma: number },
) {
  const ranges = ranks.map((rank) => [prunedRank(rank, gamma), rank] as const);
  const part = (name: string, axis: -2 | -1) => {
    const value = take(values, `${layer}.${name}`);
    return mul(value, termMask({ value, axis }, ranges));
  };
  const [a, b] = [part("loraA", -2), part("loraB", -1)];
  const norm = (x: Tensor) => sqrt(sumOfSquares(x, { axes: [-2, -1], keepDims: true }));
  return { a, b, sizeA: norm(a), sizeB: norm(b) };
}
