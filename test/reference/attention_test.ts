import assert from "node:assert/strict";
import { test } from "node:test";
import { checkGradient } from "../support/check_gradient.ts";
import { maxAbsDifference } from "../support/compare.ts";
import { gaussian } from "../support/matrices.ts";
import { Random } from "../support/random.ts";
import { F64Array } from "./array.ts";
import {
  type AttentionOptions,
  scaledDotProductAttention,
  scaledDotProductAttentionGradient,
} from "./attention.ts";
import { slice } from "./shape.ts";

const random = new Random(6);

test("scaledDotProductAttention() matches hand-worked values", () => {
  const q = F64Array.from([1, 1], [Math.log(3)]);
  const [k, v] = [F64Array.from([2, 1], [0, 1]), F64Array.from([2, 2], [4, 8, 0, 4])];
  // Scores 0 and log 3 give weights 1/4 and 3/4.
  assert.ok(maxAbsDifference(scaledDotProductAttention(q, k, v).data, [1, 5]) < 1e-14);
  // Half the scale and a mask of log 3 / 2 give the same scores.
  const mask = F64Array.from([2], [0, Math.log(3) / 2]);
  assert.ok(maxAbsDifference(scaledDotProductAttention(q, k, v, { scale: 0.5, mask }).data, [1, 5]) < 1e-14);
  const first = F64Array.from([2], [0, -1e30]);
  assert.deepEqual([...scaledDotProductAttention(q, k, v, { mask: first }).data], [4, 8]);
});

test("scaledDotProductAttention() with heads equals attention on each head's columns", () => {
  const [q, k, v] = [gaussian([2, 3, 6], random), gaussian([2, 4, 6], random), gaussian([2, 4, 6], random)];
  const whole = scaledDotProductAttention(q, k, v, { heads: 2 });
  assert.deepEqual(whole.shape, [2, 3, 6]);
  for (const start of [0, 3]) {
    const columns = (x: F64Array) => slice(x, [0, 0, start], [2, x.shape[1]!, start + 3]);
    const head = scaledDotProductAttention(columns(q), columns(k), columns(v));
    assert.deepEqual([...columns(whole).data], [...head.data]);
  }
});

test("scaledDotProductAttentionGradient() matches central differences", () => {
  const cases: [number[], number[], number[], AttentionOptions][] = [
    [[2, 3, 4], [2, 5, 4], [2, 5, 3], {}],
    [[2, 3, 4], [2, 5, 4], [2, 5, 6], { heads: 2, scale: 0.7, mask: gaussian([2, 1, 1, 5], random) }],
  ];
  for (const [qShape, kShape, vShape, options] of cases) {
    const [q, k, v] = [gaussian(qShape, random), gaussian(kShape, random), gaussian(vShape, random)];
    checkGradient(
      (a, b, c) => scaledDotProductAttention(a!, b!, c!, options),
      (dy) => {
        const result = scaledDotProductAttentionGradient(q, k, v, dy, options);
        return [result.q, result.k, result.v];
      },
      [q, k, v],
    );
  }
});
