/** How uneven a partition is. */
export interface PartitionSkew {
  /** Examples of a client. */
  readonly sizes: { readonly min: number; readonly median: number; readonly max: number };
  /**
   * Total variation distance ½ Σ |p − q| of a client's label shares p from those q of all clients together: 0 for the same shares, near 1
   * for a client whose labels others hardly have. Undefined without labels.
   */
  readonly totalVariation?: { readonly mean: number; readonly max: number };
  /** e to the entropy of a client's label shares: 1 for a single class, C for C equally frequent ones. Undefined without labels. */
  readonly effectiveClasses?: { readonly min: number; readonly mean: number; readonly max: number };
}

/**
 * Measures how uneven a partition is. Clients count equally, whatever their sizes; those without any label (a text may have none) are
 * left out of the figures on labels.
 *
 * @param sizes examples of each client.
 * @param counts how often each client has each class, label or tag; undefined for tasks without.
 * @throws {RangeError} if there are no clients, or counts of other clients than sizes.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { totalVariation } = measureSkew([2, 2], [[2, 0], [0, 2]]);
 * assert.deepEqual(totalVariation, { mean: 0.5, max: 0.5 });
 * ```
 */
export function measureSkew(
  sizes: readonly number[],
  counts?: readonly (readonly number[])[],
): PartitionSkew {
  if (sizes.length === 0 || (counts && counts.length !== sizes.length)) {
    throw new RangeError(
      `Cannot measure skew: expected counts of each of ${sizes.length} clients, at least one, got ${
        counts?.length ?? 0
      }`,
    );
  }
  const sorted = sizes.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  const measured = { sizes: { min: sorted[0]!, median, max: sorted.at(-1)! } };
  const labelled = counts?.filter((row) => sum(row) > 0) ?? [];
  if (labelled.length === 0) return measured;
  const all = shares(labelled[0]!.map((_, c) => sum(labelled.map((row) => row[c]!))));
  const each = labelled.map(shares);
  const distances = each.map((p) => sum(p.map((share, c) => Math.abs(share - all[c]!))) / 2);
  const classes = each.map((p) => Math.exp(-sum(p.map((share) => share > 0 ? share * Math.log(share) : 0))));
  const mean = (values: readonly number[]) => sum(values) / values.length;
  const [least, most] = [
    (values: readonly number[]) => values.reduce((a, b) => Math.min(a, b)),
    (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b)),
  ];
  return {
    ...measured,
    totalVariation: { mean: mean(distances), max: most(distances) },
    effectiveClasses: { min: least(classes), mean: mean(classes), max: most(classes) },
  };
}

function shares(counts: readonly number[]): number[] {
  const total = sum(counts);
  return counts.map((count) => count / total);
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
