import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  accuracy,
  confusionMatrix,
  macroF1,
  matthewsCorrelation,
  weightedF1,
} from "../../../src/tasks/metrics/mod.ts";
import { reference } from "./golden.ts";

// Expected values of this pair of lists: scikit-learn 1.9.1, zero_division=0.
const labels = [0, 1, 2, 0, 1, 2, 2, 2, 1, 0, 4, 4];
const predictions = [0, 2, 1, 0, 0, 1, 2, 2, 1, 3, 4, 0];

const scored = fc.array(fc.tuple(fc.nat(6), fc.nat(6)), { minLength: 1, maxLength: 50 })
  .map((pairs) => [pairs.map(([label]) => label), pairs.map(([, prediction]) => prediction)] as const);

/** Few operations on numbers of at most one. */
function assertClose(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) <= 1e-14, `${actual} is not ${expected}`);
}

describe("accuracy()", () => {
  it("accuracy() is the share of equal ids", () => {
    assert.equal(accuracy([1, 2, 3, 4], [1, 0, 3, 0]), 0.5);
    assert.equal(accuracy(Uint32Array.of(1, 2), Int32Array.of(1, 2)), 1);
    assert.equal(accuracy(labels, predictions), 0.5);
  });
});

describe("macroF1()", () => {
  it("macroF1() equals scikit-learn over the classes seen and over a given label set", () => {
    assertClose(macroF1(labels, predictions), 0.42857142857142855);
    assertClose(macroF1(labels, predictions, { numClasses: 5 }), 0.42857142857142855);
    assertClose(macroF1(labels, predictions, { numClasses: 7 }), 0.30612244897959184);
    assertClose(macroF1([2, 2, 5, 5, 9], [2, 5, 5, 9, 9]), 0.611111111111111);
    assertClose(macroF1([2, 2, 5, 5, 9], [2, 5, 5, 9, 9], { numClasses: 10 }), 0.1833333333333333);
  });

  it("macroF1() gives the hand-worked value for a model that predicts one class", () => {
    // 9 of 10 are class 0: F1 of class 0 is 18/19, that of class 1 is 0, their mean 9/19.
    assertClose(macroF1([0, 0, 0, 0, 0, 0, 0, 0, 0, 1], new Uint8Array(10)), 9 / 19);
    assert.equal(macroF1([1, 1], [0, 0]), 0);
    assert.equal(macroF1([3, 1], [3, 1]), 1);
    assert.equal(macroF1([1, 1], [1, 1], { numClasses: 2 }), 0.5);
  });

  it("macroF1() equals precision and recall combined, class by class", () => {
    fc.assert(fc.property(scored, ([y, p]) => {
      const scores = Array.from({ length: 7 }, (_, k) => {
        const hits = y.filter((id, i) => id === k && p[i] === k).length;
        const precision = hits / p.filter((id) => id === k).length;
        const recall = hits / y.filter((id) => id === k).length;
        return hits === 0 ? 0 : 2 / (1 / precision + 1 / recall);
      });
      assertClose(macroF1(y, p, { numClasses: 7 }), scores.reduce((a, b) => a + b) / 7);
      const seen = new Set([...y, ...p]).size;
      assertClose(macroF1(y, p), scores.reduce((a, b) => a + b) / seen);
    }));
  });
});

describe("weightedF1()", () => {
  it("weightedF1() weighs a class by its labels", () => {
    // F1: class 0 2·2/(3 + 2) = 4/5 of 3 labels, class 1 none of 1 label, class 2 is never a label.
    assertClose(weightedF1([0, 0, 0, 1], [0, 0, 2, 2]), 3 / 4 * 4 / 5);
  });
});

describe("matthewsCorrelation()", () => {
  it("matthewsCorrelation() equals the formula of two classes", () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.nat(1), fc.nat(1)), { minLength: 1 }), (pairs) => {
      const count = (y: number, p: number) => pairs.filter((pair) => pair[0] === y && pair[1] === p).length;
      const [tp, tn, fp, fn] = [count(1, 1), count(0, 0), count(0, 1), count(1, 0)];
      const spread = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn);
      const expected = spread === 0 ? 0 : (tp * tn - fp * fn) / Math.sqrt(spread);
      assertClose(matthewsCorrelation(pairs.map(([y]) => y), pairs.map(([, p]) => p)), expected);
    }));
  });
});

describe("confusionMatrix()", () => {
  it("confusionMatrix() counts truth by row and prediction by column", () => {
    assert.deepEqual(confusionMatrix(labels, predictions), [
      [2, 0, 0, 1, 0],
      [1, 1, 1, 0, 0],
      [0, 2, 2, 0, 0],
      [0, 0, 0, 0, 0],
      [1, 0, 0, 0, 1],
    ]);
    assert.deepEqual(confusionMatrix([0], [1], { numClasses: 3 }), [[0, 1, 0], [0, 0, 0], [0, 0, 0]]);
    // One class, told or found.
    assert.deepEqual(confusionMatrix([0, 0], [0, 0]), [[2]]);
    assert.deepEqual(confusionMatrix([0, 0], [0, 0], { numClasses: 1 }), [[2]]);
  });

  it("confusionMatrix() holds each example once, the right ones on its diagonal", () => {
    fc.assert(fc.property(scored, ([y, p]) => {
      const matrix = confusionMatrix(y, p);
      assert.equal(matrix.flat().reduce((a, b) => a + b), y.length);
      const diagonal = matrix.reduce((sum, row, k) => sum + row[k]!, 0);
      assertClose(diagonal / y.length, accuracy(y, p));
    }));
  });
});

describe("metrics of classes", () => {
  it("metrics of classes equal scikit-learn's", () => {
    for (const { labels, predictions, ...expected } of reference.classes) {
      assertClose(accuracy(labels, predictions), expected.accuracy);
      assertClose(macroF1(labels, predictions), expected.macroF1);
      assertClose(weightedF1(labels, predictions), expected.weightedF1);
      assertClose(matthewsCorrelation(labels, predictions), expected.matthews);
    }
  });

  it("metrics of classes are bounded and don't depend on the order of examples or the names of classes", () => {
    fc.assert(fc.property(scored, fc.nat(), ([y, p], turn) => {
      const moved = (ids: readonly number[]) => ids.map((_, i) => (ids[(i + turn) % ids.length]! + turn) % 7);
      for (const metric of [accuracy, macroF1, weightedF1, matthewsCorrelation]) {
        const found = metric(y, p);
        assert.ok(found >= (metric === matthewsCorrelation ? -1 - 1e-14 : 0) && found <= 1 + 1e-14);
        assertClose(metric(moved(y), moved(p)), found);
        if (new Set(y).size > 1) assertClose(metric(y, y), 1);
      }
    }));
  });

  it("metrics of classes refuse lists that cannot be scored", () => {
    for (const metric of [accuracy, macroF1, weightedF1, matthewsCorrelation, confusionMatrix]) {
      assert.throws(() => metric([0, 1], [0]), { name: "TypeError", message: /got 1 and 2/ });
      assert.throws(() => metric([], []), { name: "RangeError", message: /got 0/ });
      for (const bad of [-1, 0.5, NaN]) {
        assert.throws(() => metric([0, bad], [0, 0]), { name: "RangeError", message: /label 1/ });
        assert.throws(() => metric([0, 0], [bad, 0]), { name: "RangeError", message: /prediction 0/ });
      }
    }
    for (const metric of [macroF1, confusionMatrix]) {
      assert.throws(() => metric([0], [2], { numClasses: 2 }), {
        message: /prediction 0 .* from 0 to 1, got 2/,
      });
      for (const numClasses of [0, -1, 1.5, NaN]) {
        assert.throws(() => metric([0], [0], { numClasses }), { name: "RangeError", message: /numClasses/ });
      }
    }
  });
});
