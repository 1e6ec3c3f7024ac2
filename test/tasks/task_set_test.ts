import assert from "node:assert/strict";
import { test } from "node:test";
import { countTargets, createTaskSet, rowsOf } from "../../src/tasks/mod.ts";

const batch = (batchSize: number) => ({
  batchSize,
  length: 1,
  inputIds: new Uint32Array(batchSize),
  attentionMask: new Float32Array(batchSize).fill(1),
});

test("rowsOf() gives an example's windows, in the order of the examples", () => {
  // One row, three, none and two.
  const targets = new Int32Array(6);
  const set = createTaskSet(batch(6), { targets, firstRows: Uint32Array.of(0, 1, 4, 4, 6) });
  assert.equal(set.numExamples, 4);
  assert.deepEqual(rowsOf(set, [3, 0, 2, 1]), [4, 5, 0, 1, 2, 3]);
  assert.deepEqual(rowsOf(set, [1, 1]), [1, 2, 3, 1, 2, 3]);
  assert.deepEqual(rowsOf(set, []), []);
});

test("createTaskSet() takes a row for an example unless it is told otherwise", () => {
  const set = createTaskSet(batch(3), { targets: new Float32Array(6) });
  assert.deepEqual(set.firstRows, Uint32Array.of(0, 1, 2, 3));
  assert.equal(set.targetsPerRow, 2);
  assert.equal(set.numTruncated, 0);
  assert.ok(!("tokenTypeIds" in set.inputs));
  const tokenTypeIds = Uint32Array.of(0, 1, 0);
  assert.equal(
    createTaskSet({ ...batch(3), tokenTypeIds }, { targets: new Int32Array(3) }).inputs.tokenTypeIds!.data,
    tokenTypeIds,
  );
  assert.equal(createTaskSet(batch(0), { targets: new Int32Array(0) }).targetsPerRow, 1);
  assert.throws(() => createTaskSet(batch(3), { targets: new Int32Array(4) }), {
    name: "TypeError",
    message: "Cannot make a set of 3 rows: got 4 targets",
  });
});

test("countTargets() counts the classes of a row that aren't ignored, and every number", () => {
  const x = -100;
  const set = createTaskSet(batch(3), { targets: Int32Array.of(0, x, 2, x, x, x, 1, 0, x) });
  assert.deepEqual([0, 1, 2].map((row) => countTargets(set, row)), [2, 0, 2]);
  const numbers = createTaskSet(batch(2), { targets: Float32Array.of(x, 0, 1, 2) });
  assert.deepEqual([0, 1].map((row) => countTargets(numbers, row)), [2, 2]);
});
