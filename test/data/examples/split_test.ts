import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { stratifiedSplit } from "../../../src/data/examples/split.ts";
import { cpuClock } from "../../support/cpu_clock.ts";

/** xorshift32, a generator of the tests' own. */
function makeRandom(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>>= 0;
  };
}

// Doubles of fast-check are mostly close to 0.
const percent = fc.nat({ max: 49 }).map((share) => share / 100);

test("stratifiedSplit() parts the whole, keeps its order and every class's share to within one", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 200 }),
      fc.integer(),
      percent,
      percent,
      (labels, seed, validation, heldOut) => {
        const examples = labels.map((label, index) => ({ label, index }));
        const split = stratifiedSplit(examples, makeRandom(seed), { validation, test: heldOut });
        const parts = [split.train, split.validation, split.test];
        assert.deepEqual(
          parts.flat().map(({ index }) => index).sort((a, b) => a - b),
          examples.map(({ index }) => index),
        );
        for (const part of parts) {
          assert.deepEqual(part, part.toSorted((a, b) => a.index - b.index));
        }
        for (const label of ["a", "b", "c"]) {
          const all = labels.filter((other) => other === label).length;
          for (const [part, share] of [[split.test, heldOut], [split.validation, validation]] as const) {
            const count = part.filter((example) => example.label === label).length;
            assert(Math.abs(count - all * share) <= 1, `${count} of ${all} at share ${share}`);
          }
        }
      },
    ),
  );
});

test("stratifiedSplit() rounds each class's share to the nearest number of examples", () => {
  // 1.8 and 1.4 of 9 and 7 for the test, 2.7 and 2.1 for both.
  const examples = [..."aaaaaaaaabbbbbbb"].map((label) => ({ label }));
  const { train, validation, test } = stratifiedSplit(examples, makeRandom(1));
  const labelsOf = (part: typeof train) => part.map(({ label }) => label).join("");
  assert.deepEqual([train, validation, test].map(labelsOf), ["aaaaaabbbbb", "ab", "aab"]);
});

test("stratifiedSplit() repeats itself for a seed and differs between seeds", () => {
  const examples = Array.from({ length: 100 }, (_, index) => ({ label: String(index % 2), index }));
  const split = (seed: number) => stratifiedSplit(examples, makeRandom(seed));
  assert.deepEqual(split(1), split(1));
  assert.notDeepEqual(split(1).test, split(2).test);
});

test("stratifiedSplit() puts every example in the test equally often", () => {
  const examples = Array.from({ length: 10 }, (_, index) => ({ label: "a", index }));
  const random = makeRandom(12345);
  const counts = new Array<number>(10).fill(0);
  const numSplits = 4000;
  for (let i = 0; i < numSplits; i++) {
    for (const { index } of stratifiedSplit(examples, random, { validation: 0, test: 0.3 }).test) {
      counts[index]!++;
    }
  }
  // Binomial with p = 0.3: standard deviation 29; five of them.
  for (const count of counts) assert(Math.abs(count - 0.3 * numSplits) < 145, `counts ${counts}`);
});

test("stratifiedSplit() draws again where a remainder would favour small numbers", () => {
  // Of 3 examples the first draw is below 3: 2^32 - 1 lies past the last multiple of 3 and must be skipped.
  const draws = [2 ** 32 - 1, 2 ** 32 - 2, 0];
  const examples = ["x", "y", "z"].map((name) => ({ label: "a", name }));
  const split = stratifiedSplit(examples, () => draws.shift()!, { validation: 0, test: 1 / 3 });
  // 2^32 - 2, which leaves 2, leaves z last, and draw 0 then swaps x and y: y comes first and is the test.
  assert.deepEqual(split.test.map(({ name }) => name), ["y"]);
  assert.equal(draws.length, 0);
});

test("stratifiedSplit() refuses shares that leave nothing", () => {
  for (const [validation, heldOut] of [[-0.1, 0.2], [0.2, -0.1], [0.5, 0.5], [0, 1], [NaN, 0.1]]) {
    assert.throws(
      () => stratifiedSplit([], makeRandom(1), { validation: validation!, test: heldOut! }),
      RangeError,
    );
  }
});

test("stratifiedSplit() refuses a generator of other numbers", () => {
  const examples = [{ label: "a" }, { label: "a" }];
  for (const value of [0.5, -1, 2 ** 32, NaN]) {
    assert.throws(() => stratifiedSplit(examples, () => value), {
      name: "RangeError",
      message: /32-bit unsigned/,
    });
  }
});

test("stratifiedSplit() takes 200,000 classes", () => {
  const examples = Array.from({ length: 200_000 }, (_, i) => ({ label: String(i) }));
  const seconds = cpuClock();
  assert.equal(stratifiedSplit(examples, () => 1).train.length, 200_000);
  assert.ok(seconds() < 20);
});
