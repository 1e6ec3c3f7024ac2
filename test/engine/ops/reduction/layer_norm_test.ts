import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { layerNorm } from "../../../../src/engine/ops/reduction/layer_norm.ts";
import { backward } from "../../../../src/engine/backward.ts";
import { sum } from "../../../../src/engine/ops/reduction/reduce.ts";
import { type Tensor, tensor } from "../../../../src/engine/tensor.ts";
import { disposeAll, tidy } from "../../../../src/engine/tidy.ts";
import { F64Array } from "../../../reference/array.ts";
import { layerNorm as reference, layerNormGradient } from "../../../reference/layer_norm.ts";
import { f32Arrays, shapes } from "../../../support/arbitraries.ts";
import { assertClose, F32_MIN_NORMAL, F32_UNIT_ROUNDOFF as U, gammaN } from "../../../support/compare.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";
import { bitsOf, evaluate, holds, run, testFamilies } from "../../harness.ts";

const families = await testFamilies();
const gpu = families.cpu!;

interface Case {
  readonly x: F64Array;
  readonly gamma: F64Array;
  readonly beta: F64Array;
  readonly epsilon: number;
}

/** x [C, ..., D] with parameters [D] or [C, D]. Squares of huge values must stay inside float32. */
const cases: fc.Arbitrary<Case> = fc.tuple(shapes({ minRank: 1, maxSize: 1500 }), fc.boolean()).chain(
  ([shape, shared]) => {
    const affine = shared || shape.length === 1 ? shape.slice(-1) : [shape[0]!, shape.at(-1)!];
    return fc.record({
      x: f32Arrays(shape, { huge: 1e15, tiny: 1e-12 }),
      gamma: f32Arrays(affine, { classes: ["ordinary", "zero", "equal"] }),
      beta: f32Arrays(affine, { classes: ["ordinary", "zero", "equal"] }),
      epsilon: fc.constantFrom(1e-5, 1e-12, 1e-3).map(Math.fround),
    });
  },
);

/**
 * Error of x̂ = (x − μ)·r. The mean and each difference are off by δ = γₙ₊₂·max|x| together, so the difference adds
 * q = δ·r to x̂. The squares of differences that are off by δ change the variance by the relative 2q + q², and r by
 * half of it; their sum, the division and the root round too. Where q isn't small x̂ is bounded by √n anyway.
 */
function normalizedErrors({ x, epsilon }: Case) {
  const n = x.shape.at(-1)!;
  const rowCount = x.size / n;
  const absolute = F64Array.full(x.shape);
  const relativeR = new Float64Array(rowCount);
  const r = new Float64Array(rowCount);
  const unit = F64Array.full([n], 1);
  const normalized = reference(x, unit, F64Array.full([n]), { epsilon });
  for (let row = 0; row < rowCount; row++) {
    const values = x.data.subarray(row * n, (row + 1) * n);
    const mean = values.reduce((sum, value) => sum + value, 0) / n;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n;
    r[row] = 1 / Math.sqrt(variance + epsilon);
    const largest = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    // An adapter may flush a denormal x, and with it what it adds to the mean.
    const q = (gammaN(n + 2) * largest + 2 * F32_MIN_NORMAL) * r[row]!;
    relativeR[row] = q + q * q + gammaN(n + 4) + 12 * U;
    for (let i = row * n; i < (row + 1) * n; i++) {
      absolute.data[i] = q + (Math.abs(normalized.data[i]!) + q) * (relativeR[row]! + 3 * U);
    }
  }
  return { normalized, absolute, relativeR, r };
}

const index = ({ x, gamma }: Case) => {
  const n = x.shape.at(-1)!;
  const perMember = x.size / (gamma.size / n);
  return (i: number) => Math.floor(i / perMember) * n + i % n;
};

for (const [family, gpu] of Object.entries(families)) {
  test(`layerNorm() with shared and per-member parameters and its gradients agree with the oracle (${family})`, async () => {
    await holds(cases, async (each) => {
      const { x, gamma, beta, epsilon } = each;
      const n = x.shape.at(-1)!;
      const at = index(each);
      const { y, dy, gradients: [dx, dGamma, dBeta] } = await evaluate(
        gpu,
        (t, weight, bias) => layerNorm(t, { weight, bias, epsilon }),
        { inputs: [x, gamma, beta] },
      );
      const { normalized, absolute, relativeR, r } = normalizedErrors(each);
      const expected = reference(x, gamma, beta, { epsilon });
      const bounds = expected.map((value, i) =>
        Math.abs(gamma.data[at(i)]!) * absolute.data[i]! + U * Math.abs(value)
      );
      assertClose(y, expected, { absolute: bounds.data });

      const wanted = layerNormGradient(x, gamma, dy, { epsilon });
      // dx = r·(g − mean g − x̂·mean(g·x̂)): the errors of r, of x̂ in both places, and n + 4 roundings.
      const dxBounds = F64Array.full(x.shape);
      for (let row = 0; row < x.size / n; row++) {
        let [meanG, meanGx, meanError] = [0, 0, 0];
        for (let i = row * n; i < (row + 1) * n; i++) {
          const g = Math.abs(dy.data[i]! * gamma.data[at(i)]!);
          meanG += g / n;
          meanGx += g * Math.abs(normalized.data[i]!) / n;
          meanError += g * absolute.data[i]! / n;
        }
        for (let i = row * n; i < (row + 1) * n; i++) {
          const g = Math.abs(dy.data[i]! * gamma.data[at(i)]!);
          const xHat = Math.abs(normalized.data[i]!);
          const error = absolute.data[i]!;
          const terms = g + meanG + (xHat + error) * (meanGx + meanError);
          dxBounds.data[i] = r[row]! *
            ((relativeR[row]! + gammaN(n + 6)) * terms + error * (meanGx + meanError) + xHat * meanError);
        }
      }
      assertClose(dx!, wanted.x, { absolute: dxBounds.data });

      const gammaBounds = new Float64Array(gamma.size);
      const betaBounds = new Float64Array(beta.size);
      const rounding = gammaN(x.size / n + 3);
      dy.data.forEach((value, i) => {
        gammaBounds[at(i)]! += Math.abs(value) *
          (absolute.data[i]! + rounding * Math.abs(normalized.data[i]!));
        betaBounds[at(i)]! += Math.abs(value) * rounding;
      });
      assertClose(dGamma!, wanted.gamma, { absolute: gammaBounds });
      assertClose(dBeta!, wanted.beta, { absolute: betaBounds });
    });
  });
}

test("layerNorm() of rows of equal elements is the shift, not NaN", async () => {
  for (const value of [0, 1, -7.25, 2 ** -60, 2 ** 50]) {
    const y = await run(
      gpu,
      () =>
        layerNorm(tensor(gpu, new Float32Array(16).fill(value), { shape: [2, 8] }), {
          weight: tensor(gpu, new Float32Array(8).fill(2)),
          bias: tensor(gpu, new Float32Array(8).fill(0.5)),
        }),
    );
    // Sums of up to 8 of these are exact.
    assert.deepEqual([...y], new Array(16).fill(0.5));
  }
});

for (const [family, gpu] of Object.entries(families)) {
  test(`layerNorm() and its gradients have the same bits whatever members stand beside (${family})`, async () => {
    const sizes = fc.record({
      members: fc.integer({ min: 1, max: 5 }),
      rows: fc.integer({ min: 1, max: 80 }),
      n: fc.constantFrom(1, 7, 33, 128),
      seed: fc.nat(),
    });
    await holds(sizes, async ({ members, rows, n, seed }) => {
      const random = new Random(seed);
      const make = (shape: number[]) => F64Array.fromF32(shape, gaussian(shape, random).data);
      const [x, weight, bias] = [make([members, rows, n]), make([members, n]), make([members, n])];
      const dy = make([members, rows, n]);
      const own = seed % members;
      const part = ({ data, shape }: F64Array) => {
        const size = data.length / members;
        return F64Array.from([1, ...shape.slice(1)], data.subarray(own * size, (own + 1) * size));
      };
      const apply = (inputs: F64Array[], given: F64Array) =>
        evaluate(gpu, (t, w, b) => layerNorm(t, { weight: w, bias: b }), { inputs, dy: () => given });
      const together = await apply([x, weight, bias], dy);
      const alone = await apply([x, weight, bias].map(part), part(dy));
      const ownBits = (values: Float32Array) => {
        const size = values.length / members;
        return bitsOf(values.slice(own * size, (own + 1) * size));
      };
      assert.deepEqual(ownBits(together.y), bitsOf(alone.y));
      together.gradients.forEach((each, i) =>
        assert.deepEqual(ownBits(each), bitsOf(alone.gradients[i]!), `gradient ${i}`)
      );
    }, 25);
  });

  test(`layerNorm() is right for rows longer than all lanes together, and for many chunks of rows (${family})`, async () => {
    for (const [rows, n] of [[3, 128], [2, 129], [5, 517], [33, 12], [8300, 4], [70_000, 1]] as const) {
      const random = new Random(rows);
      const make = (shape: number[]) => F64Array.fromF32(shape, gaussian(shape, random).data);
      const [x, gamma, beta] = [make([rows, n]), make([n]), make([n])];
      const { y, dy, gradients: [dx, dGamma, dBeta] } = await evaluate(
        gpu,
        (t, weight, bias) => layerNorm(t, { weight, bias, epsilon: 0.25 }),
        { inputs: [x, gamma, beta] },
      );
      const options = { epsilon: 0.25 };
      const wanted = layerNormGradient(x, gamma, dy, options);
      // With ε = 1/4, r <= 2 and nothing is ill-conditioned; a sum over rows passes 32 additions, then 256 a level.
      assertClose(y, reference(x, gamma, beta, options), { absolute: 1e-5 });
      assertClose(dx!, wanted.x, { absolute: 4e-5 });
      const normalized = reference(x, F64Array.full([n], 1), F64Array.full([n]), options);
      const [gammaBounds, betaBounds] = [new Float64Array(n), new Float64Array(n)];
      dy.data.forEach((value, i) => {
        gammaBounds[i % n]! += Math.abs(value) * (gammaN(600) * Math.abs(normalized.data[i]!) + 1e-5);
        betaBounds[i % n]! += Math.abs(value) * gammaN(600);
      });
      assertClose(dGamma!, wanted.gamma, { absolute: gammaBounds });
      assertClose(dBeta!, wanted.beta, { absolute: betaBounds });
    }
  });

  test(`layerNorm() computes no gradient of parameters that are frozen (${family})`, () => {
    using x = tensor(gpu, new Float32Array(64), { shape: [8, 8] }).requireGrad();
    using weight = tensor(gpu, new Float32Array(8).fill(1)).requireGrad();
    using bias = tensor(gpu, new Float32Array(8)).requireGrad();
    const dispatches = (leaves: Tensor[]) => {
      const inputs = [x, weight, bias].map((each) => leaves.includes(each) ? each : each.detach());
      const [t, w, b] = inputs as [Tensor, Tensor, Tensor];
      const before = gpu.stats().dispatches;
      tidy(() => disposeAll(backward(sum(layerNorm(t, { weight: w, bias: b })), leaves)));
      inputs.forEach((each, i) => each !== [x, weight, bias][i] && each.dispose());
      return gpu.stats().dispatches - before;
    };
    // Forward, sum, its gradient of one and the broadcast of it, then one for x; one more gives both γ's and β's.
    assert.equal(dispatches([x]), 5);
    assert.equal(dispatches([x, weight, bias]), 6);
    assert.equal(dispatches([bias]), 5);
  });
}

test("layerNorm() refuses parameters that do not fit", () => {
  using x = tensor(gpu, new Float32Array(12), { shape: [2, 2, 3] });
  using two = tensor(gpu, new Float32Array(2));
  using three = tensor(gpu, new Float32Array(3));
  using perMember = tensor(gpu, new Float32Array(6), { shape: [2, 3] });
  assert.throws(() => layerNorm(x, { weight: two, bias: two }), {
    name: "TypeError",
    message: /Cannot normalise \[2, 2, 3\].*\[2\]: expected \[3\] or \[2, 3\]/,
  });
  assert.throws(() => layerNorm(x, { weight: three, bias: perMember }), {
    name: "TypeError",
    message: /shapes must agree/,
  });
});

test("layerNorm() of no rows is empty and gives parameters no gradient", async () => {
  const { y, gradients } = await evaluate(gpu, (x, weight, bias) => layerNorm(x, { weight, bias }), {
    inputs: [F64Array.full([0, 3]), F64Array.full([3], 1), F64Array.full([3])],
  });
  assert.equal(y.length, 0);
  assert.deepEqual(gradients.map((each) => [...each]), [[], [0, 0, 0], [0, 0, 0]]);
});
