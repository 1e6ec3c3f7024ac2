import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { macroF1, multiLabelScores } from "../../../src/tasks/metrics/mod.ts";
import { reference } from "./golden.ts";

const rows = fc.array(fc.array(fc.tuple(fc.nat(1), fc.nat(1)), { minLength: 3, maxLength: 3 }), {
  minLength: 1,
  maxLength: 20,
});

/** Few operations on numbers of at most one. */
function assertClose(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) <= 1e-14, `${actual} is not ${expected}`);
}

test("multiLabelScores() equals scikit-learn", () => {
  for (const { labels, predictions, ...expected } of reference.labelSets) {
    const found = multiLabelScores(labels.flat(), predictions.flat(), { numLabels: labels[0]!.length });
    assertClose(found.microF1, expected.microF1);
    assertClose(found.macroF1, expected.macroF1);
    assertClose(found.exactMatch, expected.exactMatch);
  }
});

test("multiLabelScores() gives hand-worked values", () => {
  // Label 0: TP 1, FN 1, F1 2/3; label 1: FP 1, F1 0; label 2 occurs nowhere, F1 0.
  assert.deepEqual(multiLabelScores([1, 0, 0, 1, 0, 0], [1, 0, 0, 0, 1, 0], { numLabels: 3 }), {
    microF1: 0.5,
    macroF1: 2 / 9,
    exactMatch: 0.5,
  });
  assert.deepEqual(multiLabelScores([0, 0], [0, 0], { numLabels: 2 }), {
    microF1: 0,
    macroF1: 0,
    exactMatch: 1,
  });
});

test("multiLabelScores() is bounded, blind to the order of examples, and F1 of each label alone", () => {
  fc.assert(fc.property(rows, (pairs) => {
    const flat = (side: 0 | 1, list = pairs) => list.flatMap((row) => row.map((pair) => pair[side]));
    const found = multiLabelScores(flat(0), flat(1), { numLabels: 3 });
    for (const score of Object.values(found)) assert.ok(score >= 0 && score <= 1);
    const reversed = pairs.toReversed();
    assert.deepEqual(multiLabelScores(flat(0, reversed), flat(1, reversed), { numLabels: 3 }), found);
    // Of two classes, 1 being the label: twice the macro-F1 less the F1 of class 0, which is that of the complement.
    const each = [0, 1, 2].map((k) => {
      const [y, p] = ([0, 1] as const).map((side) => pairs.map((row) => row[k]![side]));
      const complement = multiLabelScores(y!.map((bit) => 1 - bit), p!.map((bit) => 1 - bit), {
        numLabels: 1,
      });
      return 2 * macroF1(y!, p!, { numClasses: 2 }) - complement.microF1;
    });
    assertClose(found.macroF1, each.reduce((sum, value) => sum + value) / 3);
  }));
});

test("multiLabelScores() refuses what cannot be scored", () => {
  assert.throws(() => multiLabelScores([1, 0], [1], { numLabels: 1 }), {
    name: "TypeError",
    message: /got 1 and 2/,
  });
  assert.throws(() => multiLabelScores([1, 0, 1], [1, 0, 1], { numLabels: 2 }), { name: "TypeError" });
  assert.throws(() => multiLabelScores([], [], { numLabels: 2 }), { name: "RangeError", message: /got 0/ });
  assert.throws(() => multiLabelScores([1], [0.5], { numLabels: 1 }), { message: /prediction 0 .* got 0.5/ });
  assert.throws(() => multiLabelScores([2], [1], { numLabels: 1 }), { message: /label 0 .* got 2/ });
  assert.throws(() => multiLabelScores([1], [1], { numLabels: 0 }), { message: /numLabels/ });
});
