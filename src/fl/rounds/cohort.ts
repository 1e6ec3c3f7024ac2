import type { Fleet } from "../fleet.ts";
import type { Client } from "../method.ts";

/**
 * The clients that a round asks, in the order of their numbers.
 *
 * @throws {RangeError} when the fleet's sample isn't ascending, has a client that the fleet hasn't, or one without examples.
 */
export function cohort(fleet: Fleet, round: number, lastRounds: readonly number[]): Client[] {
  const { numExamples, labelDivergences } = fleet;
  const ids = fleet.sample(round);
  return ids.map((id, place) => {
    const before = ids[place - 1] ?? -1;
    if (!(Number.isInteger(id) && id > before && id < numExamples.length)) {
      throw new RangeError(
        `Cannot ask clients ${
          ids.join(", ")
        } in round ${round}: expected ascending numbers below ${numExamples.length}`,
      );
    }
    const count = numExamples[id]!;
    if (!(count > 0 && count < Infinity)) {
      throw new RangeError(
        `Cannot ask client ${id} in round ${round}: expected a positive number of examples, got ${count}`,
      );
    }
    return {
      id,
      numExamples: count,
      lastRound: lastRounds[id]!,
      ...(labelDivergences && { labelDivergence: labelDivergences[id]! }),
    };
  });
}
