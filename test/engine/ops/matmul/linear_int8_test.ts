import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { gemm, storedRows } from "../../../../src/engine/ops/matmul/gemm.ts";
import { type Activation, linear } from "../../../../src/engine/ops/matmul/linear.ts";
import { toInt8 } from "../../../../src/engine/ops/compression/int8.ts";
import { tensor, zeros } from "../../../../src/engine/mod.ts";
import { F64Array } from "../../../reference/array.ts";
import { UNARY } from "../../../reference/elementwise.ts";
import { int8Rows, int8Values } from "../../../reference/int8.ts";
import { linear as reference, linearGradient } from "../../../reference/matmul.ts";
import { f32Arrays } from "../../../support/arbitraries.ts";
import { assertClose, F32_MIN_NORMAL, gammaN } from "../../../support/compare.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";
import { evaluate, evaluateEverywhere, holds, testAllFamilies, upload } from "../../harness.ts";

const families = await testAllFamilies();
const absolute = (x: F64Array) => x.map(Math.abs);
const random = (shape: readonly number[], seed: number) =>
  F64Array.fromF32(shape, gaussian(shape, new Random(seed)).data);

/** Half the scale of each weight: what it may have moved by. */
const moved = (w: F64Array) =>
  F64Array.from(w.shape, int8Rows(w).flatMap(({ levels, scale }) => levels.map(() => scale / 2)));

// Both sides of every tile, rows that end inside a word, sums that end inside a quadruple, and sums that a GPU splits.
const sizes = fc.constantFrom<readonly [m: number, n: number, k: number]>(
  [1, 1, 1],
  [3, 5, 31],
  [25, 64, 64],
  [17, 100, 13],
  [9, 8, 7],
  [65, 33, 129],
  [70, 66, 67],
);
const cases = sizes.chain((size) =>
  fc.record({
    size: fc.constant(size),
    weight: f32Arrays([size[1], size[2]], { huge: 1e15, tiny: 1e-15 }),
    seed: fc.nat(),
  })
);

/**
 * Checks y = x·Wᵀ + b and dx = dy·W for a weight in 8 bits: within float32's rounding of the products with the values that are
 * stored, so within that and Σ|x|·s/2 of those with W itself. Forward a sum of k terms is multiplied by s and added to b;
 * backward dy·s rounds before the sum of n terms.
 */
async function check(m: number, weight: F64Array, seed: number): Promise<void> {
  const [n, k] = weight.shape as [number, number];
  const [x, bias] = [random([m, k], seed), random([n], seed + 1)];
  const { y, dy, gradients: [dx] } = await evaluateEverywhere(
    families,
    (gpu, [x, bias]) => linear(x!, { weight: toInt8(upload(gpu, weight)), bias: bias! }),
    { inputs: [x, bias], ownOrder: [1] },
  );
  const stored = int8Values(weight);
  const slack = (terms: number, sums: F64Array) =>
    sums.map((sum) => gammaN(terms + 3) * sum + terms * 128 * F32_MIN_NORMAL);
  const rounding = slack(k, reference(absolute(x), absolute(stored), absolute(bias)));
  assertClose(y, reference(x, stored, bias), { absolute: rounding.data });
  const movedSums = reference(absolute(x), moved(weight), F64Array.full([n]));
  assertClose(y, reference(x, weight, bias), {
    absolute: rounding.data.map((each, i) => each + movedSums.data[i]!),
  });
  const backRounding = slack(n, linearGradient(absolute(x), absolute(stored), absolute(dy)).x);
  assertClose(dx!, linearGradient(x, stored, dy).x, { absolute: backRounding.data });
  const movedBack = linearGradient(absolute(x), moved(weight), absolute(dy)).x;
  assertClose(dx!, linearGradient(x, weight, dy).x, {
    absolute: backRounding.data.map((each, i) => each + movedBack.data[i]!),
  });
}

test("linear() with a weight in 8 bits is as far from the exact one as its scales allow, and every family gives the same bits", async () => {
  await holds(cases, ({ size: [m], weight, seed }) => check(m, weight, seed), 14);
});

test("linear() with a weight in 8 bits reads rows of zeros and rows of one huge value", async () => {
  const weight = random([66, 70], 5).map((value, i) => {
    const row = Math.floor(i / 70);
    if (row % 3 === 0) return 0;
    return row % 3 === 1 && i % 70 === row ? 1e8 : value;
  });
  await check(65, weight, 7);
});

test("linear() scales the sums of 8 bits before the low-rank term, the bias and the activation", async () => {
  for (
    const [m, n, k, r, end] of [[25, 64, 64, 8, "gelu"], [3, 5, 31, 3, "relu"], [
      17,
      100,
      13,
      1,
      "residual",
    ]] as const
  ) {
    const weight = random([n, k], 1).map((value, i) => Math.fround(value * 2 ** (Math.floor(i / k) % 9 - 4)));
    const inputs = [
      random([m, k], 2),
      random([n], 3),
      random([r, k], 4),
      random([n, r], 5),
      ...(end === "residual" ? [random([m, n], 6)] : []),
    ];
    const [x, bias, a, b, residual] = inputs as [F64Array, F64Array, F64Array, F64Array, F64Array?];
    const { y, dy, gradients } = await evaluateEverywhere(
      families,
      (gpu, [x, bias, a, b, residual]) =>
        linear(x!, {
          weight: toInt8(upload(gpu, weight)),
          bias: bias!,
          lowRank: { a: a!, b: b!, scaling: 0.75 },
          ...(end === "residual" ? { residual: residual! } : { activation: end as Activation }),
        }),
      { inputs, ownOrder: [1, 2, 3] },
    );
    const sum = (w: F64Array, left: F64Array, right: F64Array) =>
      w.map((value, at) => {
        const [i, j] = [Math.floor(at / k), at % k];
        let total = value;
        for (let q = 0; q < r; q++) total += 0.75 * right.data[i * r + q]! * left.data[q * k + j]!;
        return total;
      });
    const whole = sum(int8Values(weight), a, b);
    const size = sum(absolute(int8Values(weight)), absolute(a), absolute(b));
    const z = reference(x, whole, bias);
    const slack = reference(absolute(x), size, absolute(bias)).map((each) => gammaN(k + r + 8) * each);
    const act = end === "residual"
      ? (v: number) => v
      : { gelu: UNARY.geluErf, relu: UNARY.relu }[end].forward;
    const expected = z.map((value, i) => act(value) + (end === "residual" ? residual!.data[i]! : 0));
    // An error of z moves gelu by at most 1.13 of it, and the function itself is good to 1e-6.
    assertClose(y, expected, {
      absolute: slack.data.map((each, i) => 1.2 * each + 2e-6 * (1 + Math.abs(expected.data[i]!))),
    });
    if (end !== "residual") continue;
    const exact = linearGradient(x, whole, dy);
    const magnitudes = linearGradient(absolute(x), size, absolute(dy));
    assertClose(gradients[0]!, exact.x, {
      absolute: magnitudes.x.map((each) => gammaN(n + r + 8) * each).data,
    });
  }
});

test("linear() in 8 bits splits long sums of few columns on a GPU, and they stay right", async () => {
  const gpu = families["gpu"]!;
  for (const k of [512, 513, 1100]) {
    const [x, weight] = [random([5, k], 1), random([8, k], 2)];
    const stored = int8Values(weight);
    const { y } = await evaluate(gpu, (p) => linear(p!, { weight: toInt8(upload(gpu, weight)) }), {
      inputs: [x],
    });
    const magnitudes = reference(absolute(x), absolute(stored), F64Array.full([8]));
    assertClose(y, reference(x, stored, F64Array.full([8])), {
      absolute: magnitudes.map((v) => gammaN(k + 4) * v).data,
    });
  }
});

test("products with 8 bits refuse what they don't do", () => {
  const gpu = families["cpu"]!;
  using x = zeros(gpu, [4, 4]);
  using stored = toInt8(x);
  using members = toInt8(tensor(gpu, new Float32Array(16), { shape: [2, 2, 4] }));
  assert.throws(() => linear(zeros(gpu, [2, 1, 4]), { weight: members }), {
    name: "TypeError",
    message: /weight \[2, 2, 4\]/,
  });
  const options = {
    a: { tensor: x, row: 4 },
    b: storedRows(stored, 4),
    c: { tensor: x, row: 4 },
    m: 4,
    n: 4,
    k: 4,
  };
  for (const flag of [{ transposeA: true }, { accumulate: true }]) {
    assert.throws(() => gemm({ ...options, ...flag }), { name: "TypeError", message: /8 bits .* toFloat/ });
  }
});
