import { disposeAll, pairwiseDistances } from "../../../engine/mod.ts";
import type { Tensors } from "../../tensors.ts";

/** ‖y_i − y_j‖² of all pairs of uploads, over all they hold together; in float64 but for each tensor's own distance. */
export async function squaredDistances(values: Tensors, count: number): Promise<Float64Array[]> {
  const all = Array.from({ length: count }, () => new Float64Array(count));
  const ofNames = [...values.values()].map((each) => pairwiseDistances(each));
  try {
    // In the order of names, so that the sum has one order.
    for (const distances of await Promise.all(ofNames.map((each) => each.floats()))) {
      for (let i = 0; i < count; i++) {
        for (let j = 0; j < count; j++) all[i]![j]! += distances[i * count + j]! ** 2;
      }
    }
    return all;
  } finally {
    disposeAll(ofNames);
  }
}

/**
 * Krum's scores of some of the uploads: the sum of each one's squared distances to its m − f − 2 nearest others, of m, at least one.
 *
 * @param among places of the uploads that count.
 */
export function krumScores(
  squares: readonly Float64Array[],
  { among, attackers }: { readonly among: readonly number[]; readonly attackers: number },
): number[] {
  const neighbours = Math.max(1, among.length - attackers - 2);
  return among.map((i) =>
    among.flatMap((j) => j === i ? [] : squares[i]![j]!).sort((a, b) => a - b).slice(0, neighbours)
      .reduce((sum, square) => sum + square, 0)
  );
}

/** The places of the uploads with the lowest scores, lowest first; of equal ones the first client comes first. */
export function lowest(among: readonly number[], scores: readonly number[], count: number): number[] {
  return among.map((place, i) => ({ place, score: scores[i]! }))
    .sort((a, b) => a.score < b.score ? -1 : a.score > b.score ? 1 : a.place - b.place)
    .slice(0, count)
    .map(({ place }) => place);
}
