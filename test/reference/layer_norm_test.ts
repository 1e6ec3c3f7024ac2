import assert from "node:assert/strict";
import { test } from "node:test";
import { checkGradient } from "../support/check_gradient.ts";
import { maxAbsDifference } from "../support/compare.ts";
import { gaussian } from "../support/matrices.ts";
import { Random } from "../support/random.ts";
import { F64Array } from "./array.ts";
import { layerNorm, layerNormGradient } from "./layer_norm.ts";

test("layerNorm() matches hand-worked values, with epsilon inside the square root", () => {
  const x = F64Array.from([2, 2], [1, 3, 5, 5]);
  const [gamma, beta] = [F64Array.from([2], [2, 10]), F64Array.from([2], [0, 1])];
  // Row 1 has mean 2 and variance 1; with epsilon = 3 it is ∓1/2 before gamma and beta. Row 2 has variance 0.
  assert.deepEqual([...layerNorm(x, gamma, beta, { epsilon: 3 }).data], [-1, 6, 0, 1]);
});

test("layerNorm() takes one gamma and beta for each client", () => {
  const x = F64Array.from([2, 1, 2], [1, 3, 1, 3]);
  const [gamma, beta] = [F64Array.from([2, 2], [1, 1, 2, 4]), F64Array.from([2, 2], [0, 0, 7, 0])];
  assert.ok(maxAbsDifference(layerNorm(x, gamma, beta, { epsilon: 0 }).data, [-1, 1, 5, 4]) < 1e-15);
});

test("layerNormGradient() matches central differences", () => {
  const random = new Random(5);
  const x = gaussian([2, 3, 4], random);
  for (const shape of [[4], [2, 4]]) {
    const [gamma, beta] = [gaussian(shape, random), gaussian(shape, random)];
    checkGradient(
      (a, b, c) => layerNorm(a!, b!, c!, { epsilon: 0.1 }),
      (dy) => {
        const result = layerNormGradient(x, gamma, dy, { epsilon: 0.1 });
        return [result.x, result.gamma, result.beta];
      },
      [x, gamma, beta],
    );
  }
});
