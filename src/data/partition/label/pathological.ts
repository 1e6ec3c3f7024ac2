import { z } from "zod";
import type { RandomStream } from "../../../engine/random.ts";
import { excerpt } from "../../text/excerpt.ts";
import { checkClients } from "../check_clients.ts";
import { orderedClasses } from "../classes.ts";
import { clientsOption, countOption } from "../option_schemas.ts";
import { definePartitioner } from "../partitioner.ts";
import { splitEvenly } from "../split_evenly.ts";

/**
 * Label skew in which each client has exactly so many classes (Li et al., "Federated learning on non-IID data silos", ICDE 2022): a
 * class is cut into equal parts for those who have it. `assignment` says how client k of n gets its classes of C: `"random"`;
 * `"first-deterministic"`, the class k mod C and random others, as in the paper; or `"deterministic"`, k mod C and those after it.
 * Examples of a class that nobody got are left out. As Flower's `PathologicalPartitioner`, on shuffled examples.
 *
 * @throws {RangeError} if there are fewer classes than a client should have, or a class has fewer examples than clients.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const options = { numClients: 3, classesPerClient: 1, assignment: "deterministic" } as const;
 * const input = { numExamples: 3, labels: ["b", "c", "a"] };
 * assert.deepEqual(pathologicalPartitioner(options).partition(input, { seed: 1 }).clients, [[2], [0], [1]]);
 * ```
 */
export const pathologicalPartitioner = definePartitioner({
  kind: "pathological",
  summary: "exactly classesPerClient classes for each client",
  shape: {
    numClients: clientsOption,
    classesPerClient: countOption,
    assignment: z.enum(["random", "first-deterministic", "deterministic"]).default("random"),
  },
  needs: ["labels"],
  example: { numClients: 10, classesPerClient: 2, assignment: "first-deterministic" },
  share(input, { numClients, classesPerClient, assignment }, stream) {
    checkClients(input.numExamples, numClients);
    const classes = orderedClasses(input);
    if (classesPerClient > classes.length) {
      throw new RangeError(
        `Cannot partition (pathological): expected at most ${classes.length} classesPerClient, as many as there are classes, ` +
          `got ${classesPerClient}`,
      );
    }
    const clients: number[][] = Array.from({ length: numClients }, () => []);
    const holders: number[][] = classes.map(() => []);
    for (let k = 0; k < numClients; k++) {
      for (const c of assign[assignment](k, classesPerClient, classes.length, stream)) holders[c]!.push(k);
    }
    for (const [c, members] of classes.entries()) {
      const [theirs, label] = [holders[c]!, input.labels[members[0]!]!];
      if (theirs.length === 0) continue;
      if (theirs.length > members.length) {
        throw new RangeError(
          `Cannot partition (pathological): class ${
            excerpt(label)
          } has ${members.length} examples for ${theirs.length} ` +
            `clients; lower numClients or classesPerClient, or set assignment to "deterministic"`,
        );
      }
      for (const [i, part] of splitEvenly(stream.shuffle(members), theirs.length).entries()) {
        const indices = clients[theirs[i]!]!;
        for (const index of part) indices.push(index);
      }
    }
    return clients;
  },
});

type Assign = (client: number, count: number, numClasses: number, stream: RandomStream) => number[];

const assign: Readonly<Record<"random" | "first-deterministic" | "deterministic", Assign>> = {
  random: (_, count, numClasses, stream) => stream.sampleWithoutReplacement(numClasses, count),
  "first-deterministic"(client, count, numClasses, stream) {
    const first = client % numClasses;
    const others = stream.sampleWithoutReplacement(numClasses - 1, count - 1);
    return [first, ...others.map((c) => c < first ? c : c + 1)];
  },
  deterministic: (client, count, numClasses) =>
    Array.from({ length: count }, (_, i) => (client + i) % numClasses),
};
