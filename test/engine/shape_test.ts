import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  broadcastShapes,
  canBroadcast,
  collapseAxes,
  formatShape,
  normalizeAxis,
  sameShape,
  sizeOf,
  stridesOf,
} from "../../src/engine/shape.ts";
import * as reference from "../reference/array.ts";
import { broadcastPairs, shapes } from "../support/arbitraries.ts";

test("sizeOf() and stridesOf() agree with the oracle", () => {
  fc.assert(fc.property(shapes({ maxRank: 6 }), (shape) => {
    assert.equal(sizeOf(shape), reference.sizeOf(shape));
    assert.deepEqual(stridesOf(shape), reference.stridesOf(shape));
  }));
  assert.deepEqual([sizeOf([]), sizeOf([3, 0])], [1, 0]);
});

test("broadcastShapes() agrees with the oracle, whichever comes first", () => {
  fc.assert(fc.property(broadcastPairs(), ([a, b]) => {
    assert.deepEqual(broadcastShapes(a, b), reference.broadcastShapes(a, b));
    assert.deepEqual(broadcastShapes(b, a), reference.broadcastShapes(a, b));
  }));
  assert.deepEqual(broadcastShapes([2, 1], [0]), [2, 0]);
});

test("broadcastShapes() refuses extents that differ and are not 1", () => {
  assert.throws(() => broadcastShapes([2, 3], [2, 4]), {
    name: "TypeError",
    message: /got \[2, 3\] and \[2, 4\]/,
  });
  assert.throws(() => broadcastShapes([2], [0]), { name: "TypeError" });
});

test("canBroadcast() holds where the common shape is the larger one", () => {
  fc.assert(
    fc.property(shapes(), shapes(), (from, to) => {
      let common: number[] | undefined;
      try {
        common = broadcastShapes(from, to);
      } catch { /* they don't agree */ }
      assert.equal(canBroadcast(from, to), common !== undefined && sameShape(common, to));
    }),
  );
});

test("normalizeAxis() counts from both ends and refuses the rest", () => {
  assert.deepEqual([normalizeAxis(0, 3), normalizeAxis(2, 3), normalizeAxis(-1, 3), normalizeAxis(-3, 3)], [
    0,
    2,
    2,
    0,
  ]);
  for (const axis of [3, -4, 0.5, NaN]) {
    assert.throws(() => normalizeAxis(axis, 3), { name: "RangeError", message: /from -3 to 2/ });
  }
  assert.throws(() => normalizeAxis(0, 0), { name: "RangeError" });
});

test("sameShape() and formatShape() tell shapes apart", () => {
  assert.ok(sameShape([2, 3], [2, 3]) && sameShape([], []));
  assert.ok(!sameShape([2, 3], [3, 2]) && !sameShape([2], [2, 1]));
  assert.equal(formatShape([2, 3]), "[2, 3]");
  assert.equal(formatShape([]), "[]");
});

/** Offsets that strides visit, in row-major order. */
const visit = (
  shape: readonly number[],
  strides: readonly number[],
) => [...reference.stridedSource(shape, strides)];

test("collapseAxes() visits the same offsets in the same order, with no axis left to merge", () => {
  fc.assert(fc.property(broadcastPairs({ maxRank: 6, maxSize: 300 }), ([a, b]) => {
    const shape = reference.broadcastShapes(a, b);
    const own = [a, b].map((each) => {
      const missing = shape.length - each.length;
      const strides = reference.stridesOf(each);
      return shape.map((_, axis) =>
        axis < missing || each[axis - missing] === 1 ? 0 : strides[axis - missing]!
      );
    });
    const { shape: merged, strideLists } = collapseAxes(shape, own);
    own.forEach((strides, i) => assert.deepEqual(visit(merged, strideLists[i]!), visit(shape, strides)));
    assert.ok(merged.length >= 1);
    for (let axis = 1; axis < merged.length; axis++) {
      assert.ok(
        strideLists.some((list) => list[axis - 1] !== list[axis]! * merged[axis]!),
        "these axes would merge",
      );
    }
  }));
});
