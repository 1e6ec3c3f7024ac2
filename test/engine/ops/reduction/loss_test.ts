import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  binaryCrossEntropy,
  crossEntropy,
  ignoredLabel,
  meanSquaredError,
} from "../../../../src/engine/ops/reduction/loss.ts";
import { type Tensor, tensor } from "../../../../src/engine/tensor.ts";
import { F64Array } from "../../../reference/array.ts";
import * as reference from "../../../reference/loss.ts";
import { softmax } from "../../../reference/softmax.ts";
import { sigmoid } from "../../../reference/elementwise.ts";
import { f32Arrays, integerArrays, shapes } from "../../../support/arbitraries.ts";
import { assertClose, F32_UNIT_ROUNDOFF as U, gammaN } from "../../../support/compare.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";
import { bitsOf, evaluate, holds, run, testFamilies, upload, uploadIntegers } from "../../harness.ts";

const families = await testFamilies();
const gpu = families.cpu!;
const EXP = 2e-7;
const DIVISION = 5 * U;

for (const [family, gpu] of Object.entries(families)) {
  test(`crossEntropy() and its gradient agree with the oracle; ignored rows have none of either (${family})`, async () => {
    const cases = shapes({ minRank: 1, maxSize: 1500 }).chain((shape) =>
      fc.record({
        logits: f32Arrays(shape, { tiny: 1e-12 }),
        labels: integerArrays(shape.slice(0, -1), shape.at(-1)!),
        ignored: integerArrays(shape.slice(0, -1), 4),
      })
    );
    await holds(cases, async ({ logits, labels: kept, ignored }) => {
      const labels = kept.map((label, row) => ignored.data[row] === 0 ? ignoredLabel : label);
      const classes = logits.shape.at(-1)!;
      const { y, shape, dy, gradients: [dx] } = await evaluate(
        gpu,
        (t) => crossEntropy(t, uploadIntegers(gpu, labels, "i32")),
        { inputs: [logits] },
      );
      assert.deepEqual(shape, labels.shape);
      const expected = reference.crossEntropy(logits, labels, { reduction: "none" });
      // The total of the exponentials is off by EXP and γ₂ₙ (terms w·e^−w lose less than u each), its logarithm by 2e-7 of
      // itself; the distance of the label from the largest and the result round by u of themselves.
      const error = expected.map((loss, row) =>
        labels.data[row] === ignoredLabel
          ? 0
          : EXP + gammaN(2 * classes) + 3e-7 * Math.log(classes + 1) + 3 * U * Math.abs(loss)
      );
      assertClose(y, expected, { absolute: error.data });
      // A probability e^−w/Σ is off by u·w of itself too, and w·e^−w <= 0.37.
      const probabilities = softmax(logits);
      const bounds = probabilities.map((p, i) => {
        const relative = 2 * EXP + gammaN(2 * classes + 2) + DIVISION;
        return Math.abs(dy.data[Math.floor(i / classes)]!) * (relative * p + U + 2 * U);
      });
      const wanted = reference.crossEntropyGradient(logits, labels, dy, { reduction: "none" });
      assertClose(dx!, wanted, { absolute: bounds.data });
      labels.data.forEach((label, row) => {
        if (label !== ignoredLabel) return;
        assert.equal(y[row], 0);
        assert.ok(dx!.subarray(row * classes, (row + 1) * classes).every((value) => value === 0));
      });
    });
  });
}

for (const [family, gpu] of Object.entries(families)) {
  test(`crossEntropy() of extreme logits is finite, and right (${family})`, async () => {
    const rows = [[1e30, -1e30], [-1e30, 1e30], [3e38, 3e38], [-3e38, -3e38], [0, 0], [88, -104]];
    const logits = F64Array.fromF32([6, 2], rows.flat());
    const labels = F64Array.from([6], [0, 0, 1, 0, 1, 1]);
    const { y, gradients: [dx] } = await evaluate(
      gpu,
      (t) => crossEntropy(t, uploadIntegers(gpu, labels, "i32")),
      {
        inputs: [logits],
        dy: (shape) => F64Array.full(shape, 1),
      },
    );
    assertClose(y, [0, 2e30, Math.LN2, Math.LN2, Math.LN2, 192], { relative: 1e-6 });
    assertClose(dx!, [0, 0, -1, 1, 0.5, -0.5, -0.5, 0.5, 0.5, -0.5, 1, -1], { absolute: 1e-6 });
  });
}

for (const [family, gpu] of Object.entries(families)) {
  test(`crossEntropy() of a label outside the classes is NaN, so that it is seen (${family})`, async () => {
    const losses = await run(
      gpu,
      () =>
        crossEntropy(
          tensor(gpu, new Float32Array(12), { shape: [4, 3] }),
          tensor(gpu, Int32Array.of(3, -1, -99, 2)),
        ),
    );
    assert.deepEqual([...losses].map(Number.isNaN), [true, true, true, false]);
  });
}

for (const [family, gpu] of Object.entries(families)) {
  test(`crossEntropy() over more classes than all lanes together hold agrees with the oracle (${family})`, async () => {
    for (const classes of [127, 128, 129, 1030]) {
      const logits = F64Array.fromF32([5, classes], gaussian([5, classes], new Random(classes)).data);
      const labels = F64Array.from([5], [0, classes - 1, ignoredLabel, 64, 3]);
      const apply = (t: Tensor) => crossEntropy(t, uploadIntegers(gpu, labels, "i32"));
      const { y, dy, gradients: [dx] } = await evaluate(gpu, apply, { inputs: [logits] });
      // Logits and losses are below 16; n/4 additions a component and a few more.
      const relative = 2 * EXP + gammaN(classes / 4 + 20) + DIVISION;
      const options = { reduction: "none" } as const;
      const wanted = reference.crossEntropy(logits, labels, options);
      assertClose(y, wanted, { absolute: relative + 64 * U });
      assertClose(dx!, reference.crossEntropyGradient(logits, labels, dy, options), {
        absolute: 6 * relative,
      });
      // Without a gradient another pipeline runs.
      const alone = await run(gpu, () => apply(upload(gpu, logits)));
      assert.deepEqual(bitsOf(alone), bitsOf(y));
    }
  });
}

test("crossEntropy() of an ignored row gives no gradient, whatever the row holds", async () => {
  const logits = F64Array.fromF32([2, 3], [NaN, 1, Infinity, 0, 0, 0]);
  const labels = F64Array.from([2], [ignoredLabel, 1]);
  const { y, gradients: [dx] } = await evaluate(
    gpu,
    (t) => crossEntropy(t, uploadIntegers(gpu, labels, "i32")),
    {
      inputs: [logits],
      dy: (shape) => F64Array.full(shape, 1),
    },
  );
  assertClose(y, [0, Math.log(3)], { relative: 1e-6 });
  assertClose(dx!, [0, 0, 0, 1 / 3, -2 / 3, 1 / 3], { absolute: 1e-6 });
});

test("crossEntropy() refuses labels of another shape or type", () => {
  using logits = tensor(gpu, new Float32Array(6), { shape: [2, 3] });
  using labels = tensor(gpu, Int32Array.of(0, 1, 2));
  assert.throws(() => crossEntropy(logits, labels), {
    name: "TypeError",
    message: /logits \[2, 3\] against labels \[3\]/,
  });
  using unsigned = tensor(gpu, Uint32Array.of(0, 1));
  assert.throws(() => crossEntropy(logits, unsigned), { name: "TypeError", message: /expected i32/ });
});

test("binaryCrossEntropy() and its gradient agree with the oracle", async () => {
  const cases = shapes({ maxSize: 1000 }).chain((shape) =>
    fc.tuple(f32Arrays(shape), f32Arrays(shape, { min: 0, max: 1, huge: 1 }))
  );
  await holds(cases, async ([logits, targets]) => {
    const { y, dy, gradients: [dx] } = await evaluate(
      gpu,
      (t) => binaryCrossEntropy(t, upload(gpu, targets)),
      { inputs: [logits] },
    );
    const expected = reference.binaryCrossEntropyWithLogits(logits, targets, { reduction: "none" });
    // relu(x) − x·t rounds twice by u·|x|, the softplus is off by 4e-7 of itself, and the sum rounds.
    const bounds = logits.map((z, i) =>
      2 * U * Math.abs(z) + (4e-7 + 2 * U) * Math.log1p(Math.exp(-Math.abs(z))) +
      U * Math.abs(expected.data[i]!)
    );
    assertClose(y, expected, { absolute: bounds.data });
    const wanted = reference.binaryCrossEntropyWithLogitsGradient(logits, targets, dy, { reduction: "none" });
    const errors = logits.map((z, i) =>
      Math.abs(dy.data[i]!) * ((2 * EXP + 2 * U + DIVISION) * sigmoid(z) + 2 * U)
    );
    assertClose(dx!, wanted, { absolute: errors.data });
  });
});

test("binaryCrossEntropy() of extreme logits is finite", async () => {
  const losses = await run(
    gpu,
    () =>
      binaryCrossEntropy(
        tensor(gpu, [3e38, 3e38, -3e38, -3e38, 1e4, 0]),
        tensor(gpu, [1, 0, 0, 1, 0.5, 0.5]),
      ),
  );
  assertClose(losses, [0, 3e38, 0, 3e38, 5e3, Math.LN2], { relative: 1e-6 });
});

test("meanSquaredError() and both its gradients agree with the oracle", async () => {
  const cases = shapes({ maxSize: 1000 }).chain((shape) =>
    fc.tuple(f32Arrays(shape, { huge: 1e12, tiny: 1e-12 }), f32Arrays(shape, { huge: 1e12, tiny: 1e-12 }))
  );
  await holds(cases, async ([predictions, targets]) => {
    const { y, shape, dy, gradients } = await evaluate(gpu, meanSquaredError, {
      inputs: [predictions, targets],
    });
    assert.deepEqual(shape, []);
    // A difference rounds once, its square once, and the mean n + 1 times.
    assertClose(y, reference.mse(predictions, targets), { relative: gammaN(predictions.size + 5) });
    const wanted = reference.mseGradient(predictions, targets, dy);
    assertClose(gradients[0]!, wanted, { relative: 6 * U });
    assertClose(gradients[1]!, wanted.map((value) => -value), { relative: 6 * U });
  });
});

test("binaryCrossEntropy() and meanSquaredError() refuse targets of another shape", () => {
  using a = tensor(gpu, [1, 2]);
  using b = tensor(gpu, [1, 2, 3]);
  for (const f of [binaryCrossEntropy, meanSquaredError]) {
    assert.throws(() => f(a, b), { name: "TypeError", message: /\[2\] against \[3\]: shapes must agree/ });
  }
});
