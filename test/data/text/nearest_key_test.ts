import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { editDistance, nearestKey } from "../../../src/data/text/nearest_key.ts";
import { cpuClock } from "../../support/cpu_clock.ts";

test("editDistance() gives the textbook's distances", () => {
  // kitten → sitten → sittin → sitting; "ca" → "abc" needs 3 where no part may be changed twice.
  const cases = [["kitten", "sitting", 3], ["ca", "abc", 3], ["rank", "rnak", 1], ["", "abc", 3], [
    "same",
    "same",
    0,
  ]];
  for (const [a, b, distance] of cases as [string, string, number][]) {
    assert.equal(editDistance(a, b), distance);
  }
});

test("editDistance() is symmetric and counts each random edit at most once", () => {
  const words = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 8 });
  fc.assert(fc.property(words, words, (a, b) => {
    const distance = editDistance(a, b);
    assert.equal(distance, editDistance(b, a));
    assert.equal(distance === 0, a === b);
    assert.ok(distance >= Math.abs(a.length - b.length) && distance <= Math.max(a.length, b.length));
  }));
  fc.assert(fc.property(words, fc.nat(8), fc.constantFrom("x", "y"), (word, at, letter) => {
    const i = Math.min(at, word.length);
    assert.equal(editDistance(word, word.slice(0, i) + letter + word.slice(i)), 1);
  }));
});

test("nearestKey() finds what was meant, and nothing where nothing is near", () => {
  const keys = ["learningRate", "rank", "rounds", "clipNorm"];
  assert.equal(nearestKey("lerningRate", keys), "learningRate");
  assert.equal(nearestKey("LEARNINGRATE", keys), "learningRate");
  assert.equal(nearestKey("round", keys), "rounds");
  assert.equal(nearestKey("zzz", keys), undefined);
  assert.equal(nearestKey("rank", []), undefined);
});

test("nearestKey() is done in a moment with a megabyte, and with 100,000 candidates", () => {
  const long = "x".repeat(1 << 20);
  const seconds = cpuClock();
  assert.equal(nearestKey(long, [long, `${long}y`, "rank"]), undefined);
  assert.equal(nearestKey("rank", [long]), undefined);
  const many = Array.from({ length: 100_000 }, (_, i) => `column_${i}`);
  assert.equal(nearestKey("colum_99999", many), "column_99999");
  assert.ok(seconds() < 10);
});
