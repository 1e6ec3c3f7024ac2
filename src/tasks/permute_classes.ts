import { rowsOf, type TaskSet } from "./task_set.ts";

/**
 * The same set with each client's classes renamed by a permutation of its own; examples that no client has keep theirs.
 *
 * @param clients each client's examples.
 * @param permutations for each client what it calls each class.
 * @throws {TypeError} if rows don't have one class each.
 * @throws {RangeError} if there aren't as many permutations as clients, or one has no entry for a class.
 *
 * @example
 * ```ts no-run
 * const permuted = permuteClasses(train, [[0, 1], [2]], [[0, 1], [1, 0]]); // the second client calls spam ham
 * ```
 */
export function permuteClasses(
  set: TaskSet,
  clients: readonly (readonly number[])[],
  permutations: readonly (readonly number[])[],
): TaskSet {
  if (!(set.targets instanceof Int32Array) || set.targetsPerRow !== 1) {
    throw new TypeError(
      `Cannot permute classes: expected one class for each row, got ${set.targetsPerRow} targets`,
    );
  }
  if (permutations.length !== clients.length) {
    throw new RangeError(
      `Cannot permute classes: expected a permutation for each of ${clients.length} clients, got ${permutations.length}`,
    );
  }
  const targets = set.targets.slice();
  for (const [k, examples] of clients.entries()) {
    for (const row of rowsOf(set, examples)) {
      const target = permutations[k]![targets[row]!];
      if (target === undefined) {
        throw new RangeError(
          `Cannot permute classes: client ${k} has class ${targets[row]}, its permutation ${
            permutations[k]!.length
          } entries`,
        );
      }
      targets[row] = target;
    }
  }
  return { ...set, targets };
}
