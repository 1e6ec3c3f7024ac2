import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { logSoftmax, softmax, softmaxForward } from "../../../../src/engine/ops/reduction/softmax.ts";
import { tensor } from "../../../../src/engine/tensor.ts";
import { F64Array } from "../../../reference/array.ts";
import {
  logSoftmax as referenceLogSoftmax,
  logSoftmaxGradient,
  mapRows,
  softmax as referenceSoftmax,
  softmaxGradient,
} from "../../../reference/softmax.ts";
import { f32Arrays, shapes } from "../../../support/arbitraries.ts";
import { assertClose, F32_UNIT_ROUNDOFF as U, gammaN } from "../../../support/compare.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";
import { bitsOf, evaluate, holds, run, testFamilies, upload } from "../../harness.ts";

const families = await testFamilies();
const gpu = families.cpu!;
const EXP = 2e-7;
const DIVISION = 5 * U;
const rows = shapes({ minRank: 1, maxSize: 1500 }).chain((shape) => f32Arrays(shape, { tiny: 1e-12 }));

/** Distance of each element from the largest of its row, cut at 104, below which the exponential is 0. */
const depths = (x: F64Array) =>
  mapRows(x, (row) => {
    const peak = row.reduce((max, value) => Math.max(max, value), -Infinity);
    return row.map((value) => Math.min(peak - value, 104));
  });

/**
 * Relative error of each softmax: the shift by the largest rounds by u·depth, which the exponential hands on; the n
 * terms of the sum are off by EXP and, as w·e^−w <= 0.37, by less than u each; then a division and a product.
 */
const softmaxError = (x: F64Array) =>
  depths(x).map((depth) => 2 * EXP + U * depth + gammaN(2 * x.shape.at(-1)! + 2) + DIVISION);

for (const [family, gpu] of Object.entries(families)) {
  test(`softmax() and its gradient agree with the oracle (${family})`, async () => {
    await holds(rows, async (x) => {
      const n = x.shape.at(-1)!;
      const { y, dy, gradients: [dx] } = await evaluate(gpu, softmax, { inputs: [x] });
      const expected = referenceSoftmax(x);
      const error = softmaxError(x);
      assertClose(y, expected, { absolute: expected.map((value, i) => value * error.data[i]!).data });
      // y·(dy − Σ dy·y): every factor has the error of y, and the sum rounds n times.
      const terms = mapRows(expected, (row, start) => {
        const weighted = row.map((value, i) =>
          value * Math.abs(dy.data[start + i]!) * (2 * error.data[start + i]! + gammaN(n + 3))
        );
        const total = weighted.reduce((sum, value) => sum + value, 0);
        const magnitude = row.reduce((sum, value, i) => sum + value * Math.abs(dy.data[start + i]!), 0);
        return row.map((value, i) => {
          const own = (Math.abs(dy.data[start + i]!) + magnitude) * (error.data[start + i]! + 4 * U);
          return value * (own + total);
        });
      });
      assertClose(dx!, softmaxGradient(x, dy), { absolute: terms.data });
    });
  });
}

for (const [family, gpu] of Object.entries(families)) {
  test(`logSoftmax() and its gradient agree with the oracle (${family})`, async () => {
    await holds(rows, async (x) => {
      const n = x.shape.at(-1)!;
      const { y, dy, gradients: [dx] } = await evaluate(gpu, logSoftmax, { inputs: [x] });
      const expected = referenceLogSoftmax(x);
      // The shift and the result round by u of themselves; log of the total as in softmax, and 2e-7 of itself.
      const error = expected.map((value) =>
        3 * U * Math.abs(value) + EXP + gammaN(2 * n) + 3e-7 * Math.log(n + 1)
      );
      assertClose(y, expected, { absolute: error.data });
      const probabilities = referenceSoftmax(x);
      const bounds = mapRows(dy, (row, start) => {
        const total = row.reduce((sum, value) => sum + Math.abs(value), 0);
        return row.map((value, i) => {
          const p = probabilities.data[start + i]!;
          const relative = Math.min(error.data[start + i]!, 1) + EXP + gammaN(n + 2);
          return p * total * relative + U * (Math.abs(value) + p * total);
        });
      });
      assertClose(dx!, logSoftmaxGradient(x, dy), { absolute: bounds.data });
    });
  });
}

for (const [family, gpu] of Object.entries(families)) {
  test(`softmax() and logSoftmax() of extreme rows neither overflow nor give NaN (${family})`, async () => {
    const x = [3e38, -3e38, 0, 3e38, 3e38, 3e38, -3e38, -3e38, -3e38, 0, -1e30, -1e30];
    const make = () => tensor(gpu, x, { shape: [4, 3] });
    const third = 1 / 3;
    assertClose(await run(gpu, () => softmax(make())), [
      1,
      0,
      0,
      third,
      third,
      third,
      third,
      third,
      third,
      1,
      0,
      0,
    ], { relative: 1e-6 });
    const logs = await run(gpu, () => logSoftmax(make()));
    // −3e38 − 3e38 leaves float32.
    assertClose(logs, [0, -Infinity, -3e38, ...new Array(6).fill(Math.log(third)), 0, -1e30, -1e30], {
      relative: 1e-6,
    });
  });
}

for (const [family, gpu] of Object.entries(families)) {
  test(`softmaxForward() scales, and adds each row of the mask to its neighbouring rows (${family})`, async () => {
    const cases = fc.record({
      outer: fc.integer({ min: 1, max: 4 }),
      inner: fc.integer({ min: 1, max: 5 }),
      n: fc.constantFrom(1, 3, 8, 33, 131, 260),
      seed: fc.nat(),
    });
    await holds(cases, async ({ outer, inner, n, seed }) => {
      const random = new Random(seed);
      const [x, mask] = [[outer, inner, n], [outer, 1, n]].map((shape) =>
        F64Array.fromF32(shape, gaussian(shape, random).data)
      ) as [F64Array, F64Array];
      const scale = Math.fround(0.37);
      const y = await run(gpu, () => softmaxForward(upload(gpu, x), { scale, mask: upload(gpu, mask) }));
      const scores = x.map((value, i) => value * scale + mask.data[Math.floor(i / (inner * n)) * n + i % n]!);
      // The scores round twice; they are below 10.
      assertClose(y, referenceSoftmax(scores), { relative: 2 * EXP + 60 * U + gammaN(2 * n) + DIVISION });
    }, 30);
  });
}

for (const [family, gpu] of Object.entries(families)) {
  test(`softmax() of a row has the same bits beside others, and beside masked columns (${family})`, async () => {
    const cases = fc.record({
      n: fc.constantFrom(1, 5, 16, 31, 64, 127, 128, 140),
      padding: fc.constantFrom(1, 3, 8, 64, 129),
      count: fc.integer({ min: 1, max: 70 }),
      seed: fc.nat(),
    });
    await holds(cases, async ({ n, padding, count, seed }) => {
      const random = new Random(seed);
      const x = new Float32Array(gaussian([count, n], random).data);
      const wide = Float32Array.from({ length: count * (n + padding) }, () => random.normal());
      for (let r = 0; r < count; r++) wide.set(x.subarray(r * n, (r + 1) * n), r * (n + padding));
      const mask = Float32Array.from({ length: n + padding }, (_, i) => i < n ? 0 : -1e30);
      const plain = await run(
        gpu,
        () =>
          softmaxForward(tensor(gpu, x, { shape: [count, n] }), {
            scale: 0.3,
            mask: tensor(gpu, mask.slice(0, n)),
          }),
      );
      const padded = await run(
        gpu,
        () =>
          softmaxForward(tensor(gpu, wide, { shape: [count, n + padding] }), {
            scale: 0.3,
            mask: tensor(gpu, mask),
          }),
      );
      const row = seed % count;
      const alone = await run(
        gpu,
        () =>
          softmaxForward(tensor(gpu, x.slice(row * n, (row + 1) * n)), {
            scale: 0.3,
            mask: tensor(gpu, mask.slice(0, n)),
          }),
      );
      assert.deepEqual(bitsOf(plain.slice(row * n, (row + 1) * n)), bitsOf(alone));
      for (let r = 0; r < count; r++) {
        const start = r * (n + padding);
        assert.deepEqual(bitsOf(padded.slice(start, start + n)), bitsOf(plain.slice(r * n, (r + 1) * n)));
        assert.ok(padded.subarray(start + n, start + n + padding).every((value) => value === 0));
      }
    }, 30);
  });
}

for (const [family, gpu] of Object.entries(families)) {
  test(`softmax() and logSoftmax() of rows longer than all lanes together agree with the oracle (${family})`, async () => {
    for (const n of [127, 128, 129, 517, 2048]) {
      const x = F64Array.fromF32([3, n], gaussian([3, n], new Random(n)).data);
      const { y, dy, gradients: [dx] } = await evaluate(gpu, softmax, { inputs: [x] });
      // The inputs are below 6: shifts round by 12u, terms by EXP, sums of n/4 terms a component by γₙ/₄ and three more.
      const relative = 4 * EXP + 24 * U + 2 * gammaN(n / 4 + 9) + DIVISION;
      assertClose(y, referenceSoftmax(x), { relative });
      const magnitude = 6 * Math.max(...referenceSoftmax(x).data);
      assertClose(dx!, softmaxGradient(x, dy), { absolute: 3 * relative * magnitude });
      const log = await evaluate(gpu, logSoftmax, { inputs: [x] });
      assertClose(log.y, referenceLogSoftmax(x), { absolute: relative + 4e-6 });
      // dy − p·Σ dy, |Σ dy| below 4√n.
      assertClose(log.gradients[0]!, logSoftmaxGradient(x, log.dy), {
        absolute: (4 * relative + gammaN(n) + 2e-6) * (6 + magnitude * Math.sqrt(n)),
      });
    }
  });
}

test("softmax() refuses a scalar, an empty axis and a mask that does not fit", () => {
  using scalar = tensor(gpu, [1], { shape: [] });
  assert.throws(() => softmax(scalar), { name: "TypeError", message: /softmax of a scalar/ });
  using empty = tensor(gpu, [], { shape: [2, 0] });
  assert.throws(() => softmax(empty), { name: "RangeError", message: /\[2, 0\] over an empty axis/ });
  using x = tensor(gpu, new Float32Array(6), { shape: [2, 3] });
  using mask = tensor(gpu, new Float32Array(2));
  assert.throws(() => softmaxForward(x, { mask }), {
    name: "TypeError",
    message: /Cannot mask \[2, 3\] by \[2\]/,
  });
});

test("softmax() of no rows is empty", async () => {
  const { y, gradients: [dx] } = await evaluate(gpu, softmax, { inputs: [F64Array.full([0, 3])] });
  assert.deepEqual([y.length, dx!.length], [0, 0]);
});
