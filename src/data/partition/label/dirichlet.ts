import { z } from "zod";
import type { RandomStream } from "../../../engine/random.ts";
import { checkClients } from "../check_clients.ts";
import { groupByLabel } from "../classes.ts";
import { alphasOption, clientsOption, countOption } from "../option_schemas.ts";
import { definePartitioner } from "../partitioner.ts";
import { fillUp } from "./_fill_up.ts";

/**
 * Label skew: each class is shared out among the clients by proportions from Dirichlet(alpha), so both the label mix
 * and the size differ between clients (Yurochkin et al., "Bayesian nonparametric federated learning of neural
 * networks", ICML 2019). {@linkcode innerDirichletPartitioner} draws the mix of each client instead, for sizes that are given.
 *
 * The literature redraws everything until each client has `minSize` examples, which may never end. Here one draw is
 * made, then each client that falls short takes random examples from whichever client is the largest at the time. So
 * the minimum always holds, clients that met it and were not the largest are as drawn, and no draw is thrown away.
 * With `selfBalancing` a client that holds more than the average gets nothing of the classes to come, as in that paper's code.
 *
 * @throws {RangeError} if the clients need more examples than there are.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const labels = Array.from({ length: 100 }, (_, i) => i % 4);
 * const partitioner = dirichletPartitioner({ numClients: 5, alpha: 0.3, minSize: 10 });
 * const { clients } = partitioner.partition({ numExamples: 100, labels }, { seed: 1 });
 * assert.ok(clients.every((indices) => indices.length >= 10));
 * ```
 */
export const dirichletPartitioner = definePartitioner({
  kind: "dirichlet",
  summary: "each class in shares from Dirichlet(alpha): label and quantity skew",
  shape: {
    numClients: clientsOption,
    /** 0.1 is strong label skew, 100 nearly none; a list has one concentration for each client. */
    alpha: alphasOption,
    minSize: countOption.default(1),
    selfBalancing: z.boolean().default(false),
  },
  needs: ["labels"],
  example: { numClients: 20, alpha: 0.3, minSize: 8 },
  check({ numClients, alpha }, refuse) {
    if (typeof alpha === "number" || alpha.length === numClients) return;
    refuse("alpha", `expected a number, or one for each of ${numClients} clients, got ${alpha.length}`);
  },
  share({ numExamples, labels }, { numClients, alpha, minSize, selfBalancing }, stream) {
    checkClients(numExamples, numClients, minSize);
    const alphas = typeof alpha === "number" ? new Array<number>(numClients).fill(alpha) : alpha;
    const clients: number[][] = Array.from({ length: numClients }, () => []);
    for (const members of groupByLabel(labels).values()) {
      stream.shuffle(members);
      const drawn = stream.dirichlet(alphas);
      const most = numExamples / numClients;
      const shares = selfBalancing ? withoutFull(drawn, { clients, alphas, most, stream }) : drawn;
      // Rounding the running total, not each share, hands out every example exactly once.
      let total = 0;
      let begin = 0;
      for (const [k, indices] of clients.entries()) {
        total += shares[k]!;
        const end = k === numClients - 1
          ? members.length
          : Math.min(members.length, Math.round(total * members.length));
        for (let i = begin; i < end; i++) indices.push(members[i]!);
        begin = end;
      }
    }
    fillUp(clients, minSize, stream);
    return clients;
  },
});

/** The shares of clients that don't hold more than `most` examples yet, which sum to 1; 0 of those that do. */
function withoutFull(shares: Float64Array, { clients, alphas, most, stream }: {
  readonly clients: readonly number[][];
  readonly alphas: readonly number[];
  readonly most: number;
  readonly stream: RandomStream;
}): Float64Array {
  const open = [...clients.keys()].filter((k) => clients[k]!.length <= most);
  if (open.length === clients.length) return shares;
  const total = open.reduce((sum, k) => sum + shares[k]!, 0);
  // Shares of some, scaled to sum to 1, are a draw from the Dirichlet distribution of these alone; so is a new draw.
  const theirs = total > 0
    ? open.map((k) => shares[k]! / total)
    : stream.dirichlet(open.map((k) => alphas[k]!));
  const balanced = new Float64Array(shares.length);
  for (const [i, k] of open.entries()) balanced[k] = theirs[i]!;
  return balanced;
}
