import { z } from "zod";
import type { RandomStream } from "../../../engine/random.ts";
import { orderedClasses } from "../classes.ts";
import { clientsOption, countOption } from "../option_schemas.ts";
import { definePartitioner } from "../partitioner.ts";

const amount = z.number().min(0).max(2 ** 53 - 1);

/**
 * Label and quantity skew by a table (Li et al., "Federated optimization in heterogeneous networks", MLSys 2020, of which the
 * log-normal table gives the power law). Of C classes in order, client k has the class k mod C and the `classesPerClient` − 1
 * after it, so each class has `classesPerClient` · `numClients` / C holders. Row c of the table says what the holders
 * of class c get, in the order of clients: shares of the class beyond `minPerClass` examples for each, or with `rescale: false`
 * numbers of examples, the others being left out. What rounding down leaves goes to one of the holders. As Flower's
 * `DistributionPartitioner`, on shuffled examples; instead of a table, `logNormal` draws one.
 *
 * @throws {RangeError} if `numClients` isn't a multiple of the number of classes, the table hasn't a row for each class and a column
 *   for each holder, or asks for more examples than there are.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const labels = ["a", "a", "a", "a", "b", "b", "b", "b"];
 * const options = { numClients: 2, classesPerClient: 2, distribution: [[3, 1], [1, 1]], minPerClass: 0 };
 * const { clients } = distributionPartitioner(options).partition({ numExamples: 8, labels }, { seed: 1 });
 * assert.deepEqual(clients.map((indices) => indices.length), [5, 3]);
 * ```
 */
export const distributionPartitioner = definePartitioner({
  kind: "distribution",
  summary: "classes in shares from a table, or from a log-normal distribution",
  shape: {
    numClients: clientsOption,
    classesPerClient: countOption,
    distribution: z.union([
      z.array(z.array(amount).min(1)).min(1),
      z.strictObject({
        /** Standard deviation of the logarithm; its mean has no effect on shares. */
        logNormal: z.strictObject({ sigma: z.number().min(0).max(50) }),
      }),
    ]),
    /** Examples of each of its classes that a client has before shares of the rest are given out. */
    minPerClass: z.int().min(0).default(0),
    rescale: z.boolean().default(true),
  },
  needs: ["labels"],
  example: {
    numClients: 20,
    classesPerClient: 2,
    distribution: { logNormal: { sigma: 2 } },
    minPerClass: 5,
  },
  check({ distribution, minPerClass, rescale }, refuse) {
    if (rescale) return;
    if (minPerClass > 0) refuse("minPerClass", "has no effect with rescale: false; leave it out");
    if (!Array.isArray(distribution)) refuse("rescale", "expected true, as logNormal gives shares");
    else if (distribution.flat().some((count) => !Number.isInteger(count))) {
      refuse("distribution", "expected whole numbers of examples with rescale: false");
    }
  },
  share(input, options, stream) {
    const { numClients, classesPerClient, minPerClass, rescale } = options;
    const classes = orderedClasses(input);
    const numColumns = columnsOf(classes.length, options);
    const table = tableOf(classes.length, numColumns, options, stream);
    const parts = classes.map((members, c) => {
      const row = table[c]!;
      const counts = rescale ? shareOut(members.length, row, { minPerClass, index: c, stream }) : row;
      const total = counts.reduce((a, b) => a + b);
      if (total > members.length) {
        throw new RangeError(
          `Cannot partition (distribution): row ${c} (from 0) asks for ${total} examples, its class has ${members.length}`,
        );
      }
      stream.shuffle(members);
      let begin = 0;
      return counts.map((count) => members.slice(begin, begin += count));
    });
    return Array.from(
      { length: numClients },
      (_, k) =>
        Array.from({ length: classesPerClient }, (_, i) => parts[(k + i) % classes.length]!.shift()!).flat(),
    );
  },
});

type Options = { readonly numClients: number; readonly classesPerClient: number };

/** Holders of a class. */
function columnsOf(numClasses: number, { numClients, classesPerClient }: Options): number {
  if (numClients % numClasses !== 0) {
    throw new RangeError(
      `Cannot partition (distribution): expected numClients to be a multiple of the ${numClasses} classes, got ${numClients}`,
    );
  }
  if (classesPerClient > numClasses) {
    throw new RangeError(
      `Cannot partition (distribution): expected at most ${numClasses} classesPerClient, as many as there are classes, ` +
        `got ${classesPerClient}`,
    );
  }
  return classesPerClient * numClients / numClasses;
}

type Distribution = readonly (readonly number[])[] | {
  readonly logNormal: { readonly sigma: number };
};

function tableOf(
  numClasses: number,
  numColumns: number,
  { distribution }: { readonly distribution: Distribution },
  stream: RandomStream,
): readonly (readonly number[])[] {
  if ("logNormal" in distribution) {
    const { sigma } = distribution.logNormal;
    const draw = () => Math.exp(sigma * stream.normal());
    return Array.from({ length: numClasses }, () => Array.from({ length: numColumns }, draw));
  }
  const odd = distribution.find(({ length }) => length !== numColumns);
  if (distribution.length === numClasses && odd === undefined) return distribution;
  throw new RangeError(
    `Cannot partition (distribution): expected a table of ${numClasses} classes × ${numColumns} holders of each, got ${
      odd === undefined ? `${distribution.length} rows` : `a row of ${odd.length}`
    }`,
  );
}

/** The number of examples of each holder of a class. */
function shareOut(numMembers: number, shares: readonly number[], { minPerClass, index, stream }: {
  readonly minPerClass: number;
  readonly index: number;
  readonly stream: RandomStream;
}): number[] {
  const rest = numMembers - minPerClass * shares.length;
  if (rest < 0) {
    throw new RangeError(
      `Cannot partition (distribution): class ${index} (from 0) has ${numMembers} examples, expected at least ${minPerClass} ` +
        `(minPerClass) for each of ${shares.length} clients`,
    );
  }
  const total = shares.reduce((a, b) => a + b);
  if (!(total > 0)) {
    throw new RangeError(
      `Cannot partition (distribution): expected row ${index} (from 0) to sum to more than 0`,
    );
  }
  const counts = shares.map((share) => minPerClass + Math.floor(share / total * rest));
  const given = counts.reduce((a, b) => a + b);
  // A share may be rounded up to the next whole number before it is rounded down.
  for (let over = given - numMembers; over > 0; over--) counts[counts.indexOf(Math.max(...counts))]!--;
  if (given < numMembers) counts[stream.integer(counts.length)]! += numMembers - given;
  return counts;
}
