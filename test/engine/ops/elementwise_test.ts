import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import * as ops from "../../../src/engine/ops/elementwise.ts";
import { type Tensor, tensor } from "../../../src/engine/tensor.ts";
import { broadcastShapes, broadcastSource, F64Array, sumToShape, take } from "../../reference/array.ts";
import {
  BINARY,
  type BinaryName,
  compare,
  sigmoid,
  UNARY,
  type UnaryRule,
} from "../../reference/elementwise.ts";
import { normalCdf, normalPdf } from "../../reference/erf.ts";
import { broadcastPairs, f32Arrays, type F32ArraysOptions, shapes } from "../../support/arbitraries.ts";
import { assertClose, F32_MIN_NORMAL, F32_UNIT_ROUNDOFF as U, gammaN } from "../../support/compare.ts";
import { evaluate, holds, run, testGpu, upload } from "../harness.ts";

const gpu = await testGpu();

// WGSL's own accuracy: a division is within 2.5 ulp and an inverse square root within 2 ulp, an ulp being at most 2u.
// math.wgsl states exp_, log_ and the near part of tanh_ within 2e-7.
const DIVISION = 5 * U;
const EXP = 2e-7;
const SIGMOID = 2 * EXP + 2 * U + DIVISION;
const LARGE = { huge: 1e12, tiny: 1e-12 } as const;

interface UnaryCase extends UnaryRule {
  readonly run: (x: Tensor) => Tensor;
  readonly values?: F32ArraysOptions;
  /** Bound of |f(x) − oracle|. */
  readonly error: (x: number, y: number) => number;
  /** Bound of |f'(x) − oracle|. */
  readonly slopeError: (x: number, slope: number) => number;
}

const relative = (bound: number) => (_: number, value: number) => bound * Math.abs(value);
const exact = () => 0;

/** e^(−x²/2)'s exponent carries the roundings of x/√2 and its square: 4u·x²/2, so its error grows with x². */
const gaussianTail = (x: number) => EXP + 2 * U * x * x;
/**
 * Φ: math.wgsl's fit (5e-8); its terms, each rounded twice as often as its power, add up to 17u; t is off by a division
 * and two roundings, of which the ratio of Φ and the exponential takes 2.3 times as much; two products.
 */
const CDF = 5e-8 + 17 * U + 2.3 * (DIVISION + 2 * U) + 2 * U;
const normalCdfError = (x: number) => (gaussianTail(x) + CDF) * normalCdf(-Math.abs(x)) + U + F32_MIN_NORMAL;

/** The sigmoid form of the tanh gelu: its argument 2u has a relative error of 6u, which e^2u turns into 6u·|2u|. */
const geluArgument = (x: number) => 2 * Math.sqrt(2 / Math.PI) * (Math.abs(x) + 0.044715 * Math.abs(x) ** 3);
const geluSigmoid = (x: number) => SIGMOID + 6 * U * Math.min(geluArgument(x), 200);

const UNARY_CASES: Record<string, UnaryCase> = {
  neg: { ...UNARY.neg, run: ops.neg, error: exact, slopeError: exact },
  abs: { ...UNARY.abs, run: ops.abs, error: exact, slopeError: exact },
  relu: { ...UNARY.relu, run: ops.relu, error: exact, slopeError: exact },
  square: { ...UNARY.square, run: ops.square, error: relative(U), slopeError: relative(2 * U) },
  sqrt: {
    ...UNARY.sqrt,
    run: ops.sqrt,
    values: { min: 2 ** -100, max: 2 ** 100 },
    // √x is 1/(1/√x) by WGSL's rule.
    error: relative(4 * U + DIVISION),
    slopeError: relative(4 * U + 2 * DIVISION + U),
  },
  rsqrt: {
    ...UNARY.rsqrt,
    run: ops.rsqrt,
    values: { min: 1e-20, max: 1e20, tiny: 1e-19, huge: 1e19 },
    error: relative(4 * U),
    slopeError: relative(12 * U + 4 * U),
  },
  exp: {
    ...UNARY.exp,
    run: ops.exp,
    values: { huge: 30, max: 85 },
    error: relative(EXP),
    slopeError: relative(EXP + U),
  },
  log: {
    ...UNARY.log,
    run: ops.log,
    values: { min: 2 ** -126, max: 2 ** 127 },
    error: relative(2e-7),
    slopeError: relative(DIVISION),
  },
  // Far from 0: (1 − e)/(1 + e) with e <= 0.29 off by 2e-7: each side by 1.2e-7 and a rounding.
  tanh: {
    ...UNARY.tanh,
    run: ops.tanh,
    error: relative(2.4e-7 + 3 * U + DIVISION),
    // (1 − y)(1 + y) from the rounded y: |d(1 − y²)| <= 2|dy|.
    slopeError: (x) => 2 * (2.4e-7 + 3 * U + DIVISION) * Math.abs(Math.tanh(x)) + 5 * U,
  },
  sigmoid: {
    ...UNARY.sigmoid,
    run: ops.sigmoid,
    error: relative(SIGMOID),
    // y(1 − y) from the rounded y; 1 − y is absolute.
    slopeError: (x) => sigmoid(x) * (2 * SIGMOID + 3 * U),
  },
  silu: {
    ...UNARY.silu,
    run: ops.silu,
    // A σ below the normal numbers may be flushed to 0 before it is multiplied.
    error: (x, y) => (SIGMOID + U) * Math.abs(y) + Math.abs(x) * F32_MIN_NORMAL,
    slopeError: (x) => sigmoid(x) * (2 * SIGMOID + 5 * U) * (1 + Math.abs(x)) + Math.abs(x) * F32_MIN_NORMAL,
  },
  gelu: {
    ...UNARY.geluErf,
    run: ops.gelu,
    error: (x, y) =>
      Math.abs(x) *
        (x < 0 ? (gaussianTail(x) + CDF) * normalCdf(x) + F32_MIN_NORMAL : normalCdfError(x)) +
      U * Math.abs(y),
    slopeError: (x) =>
      normalCdfError(x) + Math.abs(x) * normalPdf(x) * (gaussianTail(x) + 5 * U) +
      Math.abs(x) * F32_MIN_NORMAL + 2 * U,
  },
  geluTanh: {
    ...UNARY.geluTanh,
    run: (x) => ops.gelu(x, { approximate: "tanh" }),
    error: (x, y) => (geluSigmoid(x) + U) * Math.abs(y) + Math.abs(x) * F32_MIN_NORMAL,
    // σ + 2x·σ(1 − σ)·u': 1 − σ has the absolute error of σ.
    slopeError: (x) => {
      const cut = Math.min(Math.abs(x), 64);
      const s = sigmoid(Math.sign(x) * geluArgument(cut));
      return s * (geluSigmoid(cut) + 6 * U) * (1 + 2 * cut * (0.8 + 0.1071 * cut * cut)) * 2 +
        F32_MIN_NORMAL * cut ** 3;
    },
  },
  softplus: {
    forward: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    derivative: sigmoid,
    run: ops.softplus,
    error: relative(EXP + 2e-7 + 2 * U),
    slopeError: relative(SIGMOID + U),
  },
  "add a number": {
    forward: (x) => x + 1.25,
    derivative: () => 1,
    run: (x) => ops.add(x, 1.25),
    error: relative(U),
    slopeError: exact,
  },
  "sub a number": {
    forward: (x) => x - 1.25,
    derivative: () => 1,
    run: (x) => ops.sub(x, 1.25),
    error: relative(U),
    slopeError: exact,
  },
  "mul by a number": {
    forward: (x) => x * -3.5,
    derivative: () => -3.5,
    run: (x) => ops.mul(x, -3.5),
    error: relative(U),
    slopeError: relative(U),
  },
  "div by a number": {
    forward: (x) => x / 7,
    derivative: () => 1 / 7,
    run: (x) => ops.div(x, 7),
    error: relative(DIVISION),
    slopeError: relative(DIVISION),
  },
};

for (const [name, rule] of Object.entries(UNARY_CASES)) {
  test(`${name}() and its gradient agree with the oracle`, async () => {
    const cases = shapes({ maxSize: 700 }).chain((shape) => f32Arrays(shape, { ...LARGE, ...rule.values }));
    await holds(cases, async (x) => {
      const { y, shape, dy, gradients: [dx] } = await evaluate(gpu, rule.run, { inputs: [x] });
      assert.deepEqual(shape, x.shape);
      const expected = x.map(rule.forward);
      assertClose(y, expected, { absolute: x.map((value, i) => rule.error(value, expected.data[i]!)).data });
      // The product of the slope with dy rounds once more.
      const slopes = x.map(rule.derivative);
      const bounds = slopes.map((slope, i) =>
        Math.abs(dy.data[i]!) * (rule.slopeError(x.data[i]!, slope) + U * Math.abs(slope))
      );
      assertClose(dx!, slopes.map((slope, i) => slope * dy.data[i]!), { absolute: bounds.data });
    });
  });
}

for (const name of ["tanh", "sigmoid", "silu", "gelu", "geluTanh", "softplus"]) {
  test(`${name}() saturates without NaN at the ends of float32, and so does its gradient`, async () => {
    const ends = [-3.4e38, -1e30, -1e19, -200, -104, -89, 0, 89, 104, 200, 1e19, 1e30, 3.4e38];
    const x = F64Array.fromF32([ends.length], ends);
    const { forward, derivative, run } = UNARY_CASES[name]!;
    const { y, gradients: [dx] } = await evaluate(gpu, run, {
      inputs: [x],
      dy: (shape) => F64Array.full(shape, 1),
    });
    // A factor below the normal numbers may be flushed to 0 before it is multiplied by x.
    assertClose(y, x.map(forward), {
      relative: 1e-6,
      absolute: x.map((v) => Math.min(Math.abs(v), 200) * F32_MIN_NORMAL).data,
    });
    assertClose(dx!, x.map(derivative), { absolute: 1e-6 });
  });
}

test("exp() overflows to infinity and underflows to 0", async () => {
  assert.deepEqual([...await run(gpu, () => ops.exp(tensor(gpu, [-3.4e38, -110, 89, 3.4e38])))], [
    0,
    0,
    Infinity,
    Infinity,
  ]);
});

test("exp() and log() carry infinities and NaN as IEEE 754 says", async () => {
  const x = Float32Array.of(NaN, Infinity, -Infinity);
  const e = await run(gpu, () => ops.exp(tensor(gpu, x)));
  assert.deepEqual([...e], [NaN, Infinity, 0]);
  const l = await run(gpu, () => ops.log(tensor(gpu, Float32Array.of(NaN, Infinity, 0))));
  assert.deepEqual([...l], [NaN, Infinity, -Infinity]);
  assert.ok(Number.isNaN((await run(gpu, () => ops.log(tensor(gpu, [-1]))))[0]));
});

interface BinaryCase {
  readonly oracle: BinaryName;
  readonly run: (a: Tensor, b: Tensor) => Tensor;
  /** Values of each side. */
  readonly a?: F32ArraysOptions;
  readonly b?: F32ArraysOptions;
  /** Relative errors of the result and of one term of each gradient. */
  readonly error: number;
  readonly slopeErrors: readonly [number, number];
}

const BINARY_CASES: Record<string, BinaryCase> = {
  add: { oracle: "add", run: ops.add, error: U, slopeErrors: [0, 0] },
  sub: { oracle: "sub", run: ops.sub, error: U, slopeErrors: [0, 0] },
  mul: { oracle: "mul", run: ops.mul, error: U, slopeErrors: [0, 0] },
  // The gradient of b is dy·(a/b)/b: two divisions and a product. b is kept away from 0.
  div: {
    oracle: "div",
    run: ops.div,
    b: { min: 1e-12, classes: ["ordinary", "tiny", "huge", "equal"] },
    error: DIVISION,
    slopeErrors: [DIVISION, 2 * DIVISION + U],
  },
  maximum: { oracle: "maximum", run: ops.maximum, error: 0, slopeErrors: [0, 0] },
  minimum: { oracle: "minimum", run: ops.minimum, error: 0, slopeErrors: [0, 0] },
  // a^b = e^(b·log a): |b·log a| <= 3.5·21 is off by 2e-7 and a rounding, and so is the exponential. The bounds keep
  // a^b·log a inside float32.
  pow: {
    oracle: "pow",
    run: ops.pow,
    a: { min: 1e-9, classes: ["ordinary", "tiny", "huge", "equal"], tiny: 1e-8, huge: 1e8 },
    b: { min: -2.5, max: 2.5, classes: ["ordinary", "zero", "equal", "mixed"], tiny: 0.01, huge: 2 },
    error: 3.5 * 21 * (2e-7 + U) + EXP,
    slopeErrors: [3.5 * 21 * (2e-7 + 2 * U) + EXP + U, 3.5 * 21 * (2e-7 + 2 * U) + EXP + 3e-7],
  },
};

const broadcast = (x: F64Array, shape: readonly number[]) => take(x, shape, broadcastSource(x.shape, shape));

for (const [name, rule] of Object.entries(BINARY_CASES)) {
  test(`${name}() broadcasts, and it and its gradients agree with the oracle`, async () => {
    const cases = broadcastPairs({ maxSize: 700 }).chain(([a, b]) =>
      fc.tuple(f32Arrays(a, { ...LARGE, ...rule.a }), f32Arrays(b, { ...LARGE, ...rule.b }))
    );
    const { forward, derivatives } = BINARY[rule.oracle];
    await holds(cases, async ([a, b]) => {
      const shape = broadcastShapes(a.shape, b.shape);
      const [wideA, wideB] = [broadcast(a, shape), broadcast(b, shape)];
      const found = await evaluate(gpu, rule.run, { inputs: [a, b] });
      assert.deepEqual(found.shape, shape);
      assertClose(found.y, wideA.map((value, i) => forward(value, wideB.data[i]!)), { relative: rule.error });
      [a, b].forEach((side, s) => {
        const terms = found.dy.map((dy, i) => dy * derivatives(wideA.data[i]!, wideB.data[i]!)[s as 0 | 1]!);
        // Each term rounds once for the product with dy; n terms of one element add up with n − 1 roundings.
        const error = rule.slopeErrors[s as 0 | 1]! + gammaN(found.dy.size / side.size + 1);
        const bounds = sumToShape(terms.map((term) => error * Math.abs(term)), side.shape);
        assertClose(found.gradients[s]!, sumToShape(terms, side.shape), { absolute: bounds.data });
      });
    });
  });
}

test("maximum() and minimum() halve the gradient of equal elements", async () => {
  const x = F64Array.fromF32([3], [1, -2, 0]);
  const dy = F64Array.from([3], [1, 2, -4]);
  for (const f of [ops.maximum, ops.minimum]) {
    const { gradients } = await evaluate(gpu, f, { inputs: [x, x], dy: () => dy });
    for (const gradient of gradients) assert.deepEqual([...gradient], [0.5, 1, -2]);
  }
});

test("mul() and add() of a tensor with itself add both gradients", async () => {
  const x = F64Array.fromF32([3], [1, -2, 3]);
  const dy = F64Array.from([3], [1, 1, 2]);
  const product = await evaluate(gpu, (t) => ops.mul(t, t), { inputs: [x], dy: () => dy });
  assert.deepEqual([...product.gradients[0]!], [2, -4, 12]);
  const double = await evaluate(gpu, (t) => ops.add(t, t), { inputs: [x], dy: () => dy });
  assert.deepEqual([...double.gradients[0]!], [2, 2, 4]);
});

for (const [name, f] of Object.entries({ equal: ops.equal, less: ops.less, lessEqual: ops.lessEqual })) {
  test(`${name}() gives 1 and 0 as the oracle does`, async () => {
    // Small integers, so that many pairs are equal.
    const cases = broadcastPairs({ maxSize: 400 }).chain(([a, b]) =>
      fc.tuple(f32Arrays(a, { classes: ["ordinary"] }), f32Arrays(b, { classes: ["ordinary"] }))
    );
    await holds(cases, async (pair) => {
      const [a, b] = pair.map((x) => x.map(Math.round)) as [F64Array, F64Array];
      const y = await run(gpu, () => f(upload(gpu, a), upload(gpu, b)));
      assertClose(y, compare(name as "equal", a, b), {});
    }, 40);
  });
}

test("pow() to a number agrees with the oracle at positive, negative and zero bases", async () => {
  for (const exponent of [-2, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 5]) {
    const integer = Number.isInteger(exponent);
    const bases = [
      0.3,
      1,
      1.7,
      2,
      9,
      1e4,
      1e-4,
      ...(integer ? [-0.3, -1, -1.7, -2, -9, -1e4] : []),
      ...(exponent >= 1 || exponent === 0 ? [0] : []),
    ];
    const x = F64Array.fromF32([bases.length], bases);
    const { y, gradients: [dx] } = await evaluate(gpu, (t) => ops.pow(t, exponent), {
      inputs: [x],
      dy: (shape) => F64Array.full(shape, 1),
    });
    // |exponent·log base| <= 5·9.3, off by 2e-7 and a rounding.
    const tolerance = { relative: 6 * 9.3 * (2e-7 + U) + EXP + 2 * U };
    assertClose(y, x.map((value) => value ** exponent), tolerance);
    assertClose(dx!, x.map((value) => exponent === 0 ? 0 : exponent * value ** (exponent - 1)), tolerance);
  }
});

test("pow() of a negative base is NaN for a broken exponent, and so is its gradient by the exponent", async () => {
  const [base, exponent] = [F64Array.fromF32([3], [-2, -2, 0]), F64Array.fromF32([3], [0.5, 3, 2])];
  const { y, gradients } = await evaluate(gpu, ops.pow, {
    inputs: [base, exponent],
    dy: (shape) => F64Array.full(shape, 1),
  });
  assertClose(y, [NaN, -8, 0], { relative: 1e-6 });
  assertClose(gradients[0]!.subarray(1), [12, 0], { relative: 1e-6 });
  assertClose(gradients[1]!, [NaN, NaN, 0], {});
});

test("clamp() cuts, and its gradient passes inside the bounds and on them", async () => {
  const cases = shapes({ maxSize: 500 }).chain((shape) => f32Arrays(shape));
  await holds(cases, async (x) => {
    const bounds = { low: -0.5, high: 0.75 };
    const inside = (value: number) => value >= bounds.low && value <= bounds.high;
    const { y, dy, gradients: [dx] } = await evaluate(gpu, (t) => ops.clamp(t, bounds), { inputs: [x] });
    assertClose(y, x.map((value) => Math.min(Math.max(value, bounds.low), bounds.high)), {});
    assertClose(dx!, dy.map((value, i) => inside(x.data[i]!) ? value : 0), {});
  });
  const edge = await evaluate(gpu, (t) => ops.clamp(t, { low: -1, high: 1 }), {
    inputs: [F64Array.from([4], [-1, 1, -1.0001, 1.0001])],
    dy: (shape) => F64Array.full(shape, 3),
  });
  assert.deepEqual([...edge.gradients[0]!], [3, 3, 0, 0]);
});

test("clamp() refuses bounds in the wrong order", () => {
  using x = tensor(gpu, [1]);
  assert.throws(() => ops.clamp(x, { low: 1, high: 0 }), {
    name: "RangeError",
    message: /Cannot clamp to \[1, 0\]/,
  });
});

test("add() of empty tensors is empty", async () => {
  const empty = F64Array.full([0, 3]);
  const { y, shape, gradients } = await evaluate(gpu, ops.add, { inputs: [empty, F64Array.full([3], 2)] });
  assert.deepEqual(shape, [0, 3]);
  assert.equal(y.length, 0);
  assert.deepEqual([...gradients[1]!], [0, 0, 0]);
});

test("add() reaches every element of a tensor of more than 65535 workgroups", async () => {
  // 64 threads of one element a workgroup: 2²² + 3 elements need 65537 of them along the broadcasting path.
  const n = 2 ** 22 + 3;
  const y = await run(gpu, () => ops.add(tensor(gpu, new Float32Array(n).fill(1)), tensor(gpu, [2])));
  assert.equal(y.findIndex((value) => value !== 3), -1);
});

test("add() names both shapes where they do not broadcast", () => {
  using a = tensor(gpu, new Float32Array(6), { shape: [2, 3] });
  using b = tensor(gpu, new Float32Array(8), { shape: [2, 4] });
  assert.throws(() => ops.add(a, b), { name: "TypeError", message: /\[2, 3\] and \[2, 4\]/ });
});

test("mul() refuses tensors of another element type", () => {
  using a = tensor(gpu, Uint32Array.of(1, 2));
  using b = tensor(gpu, [1, 2]);
  assert.throws(() => ops.mul(b, a), { name: "TypeError", message: /dtype u32/ });
});
