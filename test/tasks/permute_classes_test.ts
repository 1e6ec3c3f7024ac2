import assert from "node:assert/strict";
import { test } from "node:test";
import { classification, permuteClasses, regression } from "../../src/tasks/mod.ts";
import { FakeTokenizer } from "../support/fake_tokenizer.ts";

const set = classification({ labels: ["a", "b", "c"] }).prepare(
  ["a", "b", "c", "a", "b"].map((label) => ({ text: "a", label })),
  new FakeTokenizer(),
  { maxLength: 4 },
);

test("permuteClasses() renames each client's classes, and leaves what no client has and the given set alone", () => {
  const permuted = permuteClasses(set, [[0, 1], [2, 3]], [[2, 0, 1], [1, 2, 0]]);
  assert.deepEqual([...permuted.targets], [2, 0, 0, 1, 1]);
  assert.deepEqual([...set.targets], [0, 1, 2, 0, 1]);
  assert.equal(permuted.inputs, set.inputs);
});

test("permuteClasses() refuses sets without classes, and permutations that don't fit", () => {
  assert.throws(() => permuteClasses(set, [[0], [1]], [[0, 1, 2]]), {
    name: "RangeError",
    message: "Cannot permute classes: expected a permutation for each of 2 clients, got 1",
  });
  assert.throws(() => permuteClasses(set, [[2]], [[1, 0]]), {
    name: "RangeError",
    message: "Cannot permute classes: client 0 has class 2, its permutation 2 entries",
  });
  const numbers = regression({ labels: ["x"] }).prepare([{ text: "a", value: 1 }], new FakeTokenizer(), {
    maxLength: 4,
  });
  assert.throws(() => permuteClasses(numbers, [[0]], [[0]]), { name: "TypeError" });
});
