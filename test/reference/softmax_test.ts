import assert from "node:assert/strict";
import { test } from "node:test";
import { checkGradient } from "../support/check_gradient.ts";
import { maxAbsDifference } from "../support/compare.ts";
import { gaussian } from "../support/matrices.ts";
import { Random } from "../support/random.ts";
import { F64Array } from "./array.ts";
import { logSoftmax, logSoftmaxGradient, softmax, softmaxGradient } from "./softmax.ts";

test("softmax() and logSoftmax() match hand-worked values row by row", () => {
  const x = F64Array.from([2, 2], [0, Math.log(3), 5, 5]);
  assert.ok(maxAbsDifference(softmax(x).data, [0.25, 0.75, 0.5, 0.5]) < 1e-15);
  assert.ok(
    maxAbsDifference(logSoftmax(x).data, [-Math.log(4), Math.log(0.75), -Math.LN2, -Math.LN2]) < 1e-15,
  );
});

test("softmax() survives large and masked logits", () => {
  assert.deepEqual([...softmax(F64Array.from([3], [1e30, 1e30, -1e30])).data], [0.5, 0.5, 0]);
  assert.deepEqual([...logSoftmax(F64Array.from([2], [0, -1e30])).data], [0, -1e30]);
});

test("softmaxGradient() and logSoftmaxGradient() match central differences", () => {
  const x = gaussian([2, 3, 5], new Random(4));
  checkGradient((a) => softmax(a!), (dy) => [softmaxGradient(x, dy)], [x]);
  checkGradient((a) => logSoftmax(a!), (dy) => [logSoftmaxGradient(x, dy)], [x]);
});
