import { ignoredLabel } from "../../engine/mod.ts";
import { rowsOf, type TaskSet } from "../../tasks/mod.ts";

/**
 * How far the labels of each client are from those of all clients together: KL(q_k ‖ p) = Σ_c q_k(c)·ln(q_k(c)/p(c)) over the shares of
 * classes, as a share of ln(classes that occur) and at most 1. So 0 is the same shares, and 1 what a client of one class has
 * where classes are equally common. 0 where only one class occurs.
 *
 * @param clients the examples of each.
 * @throws {TypeError} when targets are numbers to predict.
 *
 * @example
 * ```ts no-run
 * labelDivergences(train, [[0, 1], [2, 3]]); // [1, 1] where the first two are of one class, the others of another
 * ```
 */
export function labelDivergences(train: TaskSet, clients: readonly (readonly number[])[]): number[] {
  const { targets, targetsPerRow } = train;
  if (!(targets instanceof Int32Array)) {
    throw new TypeError(
      "Cannot compare the labels of clients: the task predicts numbers, expected one with classes",
    );
  }
  const counts = clients.map((examples) => {
    const own = new Map<number, number>();
    for (const row of rowsOf(train, examples)) {
      for (const label of targets.subarray(row * targetsPerRow, (row + 1) * targetsPerRow)) {
        if (label !== ignoredLabel) own.set(label, (own.get(label) ?? 0) + 1);
      }
    }
    return own;
  });
  const all = new Map<number, number>();
  for (const own of counts) {
    for (const [label, count] of own) all.set(label, (all.get(label) ?? 0) + count);
  }
  const total = sum(all);
  return counts.map((own) => {
    const size = sum(own);
    let divergence = 0;
    for (const [label, count] of own) {
      divergence += count / size * Math.log((count / size) / (all.get(label)! / total));
    }
    return all.size < 2 ? 0 : Math.min(1, Math.max(0, divergence / Math.log(all.size)));
  });
}

function sum(counts: ReadonlyMap<number, number>): number {
  let total = 0;
  for (const count of counts.values()) total += count;
  return total;
}
