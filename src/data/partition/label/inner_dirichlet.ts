import type { RandomStream } from "../../../engine/random.ts";
import { orderedClasses } from "../classes.ts";
import { alphasOption } from "../option_schemas.ts";
import { definePartitioner } from "../partitioner.ts";
import { checkSizes, sizesOf, sizesShape } from "../sizes.ts";

/**
 * Label skew with sizes that are given, or label and quantity skew at once: each client draws its own mix of classes from
 * Dirichlet(alpha), then clients chosen at random take one example at a time by their mixes until all have their size (Acar et al.,
 * "Federated learning based on dynamic regularization", ICLR 2021). A class that has run out is left out of the mixes; a client
 * whose classes have all run out draws a mix of those that are left. Sizes are as of {@linkcode sizePartitioner}, equal by
 * default; examples beyond the sum of a list are left out.
 *
 * @throws {RangeError} if the sizes sum to more than there are examples, or `alpha` is a list whose length isn't the number of classes.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const labels = Array.from({ length: 100 }, (_, i) => i % 4);
 * const partitioner = innerDirichletPartitioner({ numClients: 4, sizes: "linear", alpha: 0.3 });
 * const { clients } = partitioner.partition({ numExamples: 100, labels }, { seed: 1 });
 * assert.deepEqual(clients.map((indices) => indices.length), [10, 20, 30, 40]);
 * ```
 */
export const innerDirichletPartitioner = definePartitioner({
  kind: "inner-dirichlet",
  summary: "sizes as of size, each client's classes from its own Dirichlet(alpha)",
  shape: {
    numClients: sizesShape.numClients,
    sizes: sizesShape.sizes.default("equal"),
    /** 0.1 is strong label skew, 100 nearly none; a list has one concentration for each class. */
    alpha: alphasOption,
  },
  needs: ["labels"],
  example: { numClients: 10, sizes: "linear", alpha: 0.3 },
  check: checkSizes,
  share(input, { alpha, ...sizing }, stream) {
    const pools = orderedClasses(input);
    const alphas = typeof alpha === "number" ? new Array<number>(pools.length).fill(alpha) : alpha;
    if (alphas.length !== pools.length) {
      throw new RangeError(
        `Cannot partition (inner-dirichlet): expected an alpha for each of ${pools.length} classes, got ${alphas.length}`,
      );
    }
    const sizes = sizesOf(input.numExamples, sizing, stream);
    for (const pool of pools) stream.shuffle(pool);
    const mixes = sizes.map(() => stream.dirichlet(alphas));
    const clients: number[][] = sizes.map(() => []);
    const open = [...clients.keys()];
    while (open.length > 0) {
      const place = stream.integer(open.length);
      const k = open[place]!;
      clients[k]!.push(pools[drawClass(mixes[k]!, { pools, alphas, stream })]!.pop()!);
      if (clients[k]!.length === sizes[k]) open.splice(place, 1);
    }
    return clients;
  },
});

/** A class that isn't empty, by a client's mix; renews the mix in place where only empty ones are in it. */
function drawClass(mix: Float64Array, { pools, alphas, stream }: {
  readonly pools: readonly (readonly number[])[];
  readonly alphas: readonly number[];
  readonly stream: RandomStream;
}): number {
  const left = [...pools.keys()].filter((c) => pools[c]!.length > 0);
  let total = left.reduce((sum, c) => sum + mix[c]!, 0);
  if (total === 0) {
    // The proportions of some of the classes are Dirichlet distributed however the others came out.
    const renewed = stream.dirichlet(left.map((c) => alphas[c]!));
    for (const [i, c] of left.entries()) mix[c] = renewed[i]!;
    total = 1;
  }
  const draw = stream.uniform() * total;
  let sum = 0;
  for (const c of left) {
    sum += mix[c]!;
    if (draw < sum) return c;
  }
  // Rounding may leave the sum a little below the draw.
  return left.findLast((c) => mix[c]! > 0)!;
}
