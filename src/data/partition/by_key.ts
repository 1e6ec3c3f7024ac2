/**
 * Gives each natural owner (a sender, a device, an author) a client of its own. Clients come in the order in which
 * their keys first appear, so `[...new Set(keys)]` names them.
 *
 * @param keys the owner of each example
 * @returns for each client the indices of its examples, ascending; every index is in exactly one list
 * @throws {TypeError} if an example has no key, or an empty one
 * @throws {RangeError} if there are no examples
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(partitionByKey(["ann", "bob", "ann"]), [[0, 2], [1]]);
 * ```
 */
export function partitionByKey(keys: readonly string[]): number[][] {
  if (keys.length === 0) throw new RangeError("Cannot partition by key: there must be examples, got 0");
  const clients = new Map<string, number[]>();
  for (const [i, key] of keys.entries()) {
    if (typeof key !== "string" || key === "") {
      throw new TypeError(
        `Cannot partition by key: example ${i} must have a key, got ${JSON.stringify(key)}`,
      );
    }
    const indices = clients.get(key);
    if (indices) indices.push(i);
    else clients.set(key, [i]);
  }
  return [...clients.values()];
}
