import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type ClassCount, countClasses, similarLabels, sortLabels } from "../../../src/data/mod.ts";
import { cpuClock } from "../../support/cpu_clock.ts";

const counted = (counts: Readonly<Record<string, number>>): ClassCount[] =>
  Object.entries(counts).map(([label, count]) => ({ label, count }));

const pairsOf = (counts: Readonly<Record<string, number>>) =>
  similarLabels(counted(counts)).map(({ rarer, commoner }) => [rarer.label, commoner.label]);

test("sortLabels() orders numbers by their value, and other labels by code unit", () => {
  // As sorted() in Python orders [10, 9, -1, 0] and ["10", "9", "é", "B"].
  assert.deepEqual(sortLabels(["10", "9", "-1", "0", "9"]), ["-1", "0", "9", "10"]);
  assert.deepEqual(sortLabels(["10", "9", "é", "B"]), ["10", "9", "B", "é"]);
  assert.deepEqual(sortLabels(["2.5", "10", "0.5"]), ["0.5", "2.5", "10"]);
  assert.deepEqual(sortLabels(["9007199254740993", "9007199254740992", "9007199254740991"]), [
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
  ]);
  const numbers = fc.array(fc.integer(), { minLength: 1 });
  fc.assert(fc.property(numbers, (values) => {
    const expected = [...new Set(values)].sort((a, b) => a - b).map(String);
    assert.deepEqual(sortLabels(values.map(String)), expected);
  }));
});

test("countClasses() counts classes, labels and tags in their order", () => {
  const classes = ["b", "a", "b"].map((label) => ({ text: "", label }));
  assert.deepEqual(countClasses(classes), counted({ a: 1, b: 2 }));
  assert.deepEqual(countClasses(classes, ["z", "b"]), [
    { label: "z", count: 0 },
    { label: "b", count: 2 },
    { label: "a", count: 1 },
  ]);
  assert.deepEqual(countClasses([{ labels: ["x", "x", "y"] }, { labels: ["y"] }]), counted({ x: 1, y: 2 }));
  assert.deepEqual(countClasses([{ tags: ["O", "B-A", "O"] }]), [
    { label: "B-A", count: 1 },
    { label: "O", count: 2 },
  ]);
  assert.deepEqual(countClasses([{ text: "a", value: 1 }]), []);
});

test("similarLabels() pairs spellings of one label, the rarer first", () => {
  assert.deepEqual(pairsOf({ Positive: 3, positive: 40, negative: 41 }), [["Positive", "positive"]]);
  for (
    const [a, b] of [
      [" pos", "pos"],
      ["very good", "very  good"],
      ["very_good", "verygood"],
      ["caf\u00e9", "cafe\u0301"],
      ["pos\u200b", "pos"],
      ["\uff11", "1"],
      ["1.0", "1"],
      ["01", "1"],
      ["2.50", "2.5"],
    ] as const
  ) assert.deepEqual(pairsOf({ [a]: 1, [b]: 2 }), [[a, b]], `${a} and ${b}`);
});

test("similarLabels() takes one edit for a slip where a label is rare", () => {
  assert.deepEqual(pairsOf({ positve: 1, positive: 20 }), [["positve", "positive"]]);
  assert.deepEqual(pairsOf({ postiive: 1, positive: 20 }), [["postiive", "positive"]]);
  assert.deepEqual(pairsOf({ positve: 2, positive: 20 }), []);
  // Whatever the letter, and beside others that end alike.
  for (const slip of ["rlative", "relatve", "relativ", "relatixe", "relativee", "reelative"]) {
    assert.deepEqual(pairsOf({ [slip]: 1, relative: 900, positive: 1000 }), [[slip, "relative"]], slip);
  }
  // The commonest of two that it is like.
  assert.deepEqual(pairsOf({ positave: 1, positove: 100, positive: 1000 }), [["positave", "positive"]]);
  // Labels of 5 to 40 letters.
  assert.deepEqual(pairsOf({ wrods: 1, words: 20 }), [["wrods", "words"]]);
  assert.deepEqual(pairsOf({ wrod: 1, word: 20 }), []);
  const long = "x".repeat(38);
  assert.deepEqual(pairsOf({ [`${long}ab`]: 1, [`${long}aa`]: 20 }), [[`${long}ab`, `${long}aa`]]);
  assert.deepEqual(pairsOf({ [`${long}aab`]: 1, [`${long}aaa`]: 20 }), []);
});

test("similarLabels() leaves labels alone that are meant to differ", () => {
  for (
    const [a, b] of [
      ["1", "-1"],
      ["1", "10"],
      ["1.5", "15"],
      ["class1", "class2"],
      ["B-PERSON", "I-PERSON"],
      ["pos", "pot"],
      ["C", "C++"],
    ] as const
  ) assert.deepEqual(pairsOf({ [a]: 1, [b]: 1000 }), [], `${a} and ${b}`);
});

test("similarLabels() takes 100,000 labels that all resemble each other", () => {
  const counts = Array.from({ length: 100_000 }, (_, i) => ({
    label: `clas${String.fromCodePoint(0x4e00 + i % 20_000)}${
      i >= 20_000 ? ` ${Math.floor(i / 20_000)}` : ""
    }`,
    count: i,
  }));
  const seconds = cpuClock();
  similarLabels(counts);
  assert.ok(seconds() < 10);
});
