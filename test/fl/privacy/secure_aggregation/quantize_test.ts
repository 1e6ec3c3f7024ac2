import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import {
  checkRange,
  defaultQuantization,
  dequantizeMean,
  quantize,
} from "../../../../src/fl/privacy/secure_aggregation/mod.ts";
import { plainSum } from "../../../support/secure_run.ts";
import { Random } from "../../../support/random.ts";

interface Case {
  readonly maxWeight: number;
  readonly clippingRange: number;
  readonly quantizationRange: number;
  readonly clients: readonly {
    readonly weight: number;
    readonly values: readonly number[];
    readonly draws: readonly number[];
    readonly factor: number;
    readonly quantized: readonly number[];
  }[];
  readonly mean: readonly number[];
}

const golden = new URL("../../../golden/secure_aggregation/quantized.json", import.meta.url);

test("quantize() and dequantizeMean() agree with Flower's, given the same draws", () => {
  const cases: readonly Case[] = JSON.parse(readFileSync(golden, "utf8"));
  for (const { clients, mean, ...options } of cases) {
    const vectors = clients.map(({ weight, values, draws, factor, quantized }) => {
      const left = [...draws];
      const { vector, clipped } = quantize(values, { ...options, weight, uniform: () => left.shift()! });
      assert.deepEqual([...vector], [factor, clipped, ...quantized]);
      const w = factor / options.quantizationRange;
      assert.equal(clipped, values.filter((x) => Math.abs(x * w) > options.clippingRange).length);
      return vector;
    });
    const sum = Uint32Array.from(plainSum(vectors));
    const result = dequantizeMean(sum, { ...options, clients: clients.length });
    // A few float64 roundings of numbers up to n·c, over the weights.
    const tolerance = 8 * 2 ** -53 * clients.length * options.clippingRange / result.weight;
    mean.forEach((value, i) => assert.ok(Math.abs(result.mean[i]! - value) <= tolerance, `${i}`));
  }
});

test("the mean of quantized uploads is off by less than n·2c/(Q·Σw), and by nothing in the mean", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.constantFrom(2 ** 22, 2 ** 10, 1000),
      fc.constantFrom(8, 0.25),
      fc.nat(),
      (n, quantizationRange, clippingRange, seed) => {
        const random = new Random(seed);
        const weights = Array.from({ length: n }, () => 1 + Math.floor(random.uniform() * 300));
        const options = { maxWeight: Math.max(...weights), clippingRange, quantizationRange };
        const rows = weights.map(() =>
          Array.from({ length: 20 }, () => (2 * random.uniform() - 1) * clippingRange)
        );
        const sum = plainSum(
          rows.map((values, k) => {
            const { vector, clipped } = quantize(values, {
              ...options,
              weight: weights[k]!,
              uniform: () => random.uniform(),
            });
            assert.equal(clipped, 0);
            return vector;
          }),
        );
        const { mean, weight } = dequantizeMean(Uint32Array.from(sum), { ...options, clients: n });
        // The weights are rounded to whole parts of Q before anything else.
        const w = weights.map((each) =>
          Math.round(each / options.maxWeight * quantizationRange) / quantizationRange
        );
        const total = w.reduce((a, b) => a + b, 0);
        assert.ok(Math.abs(weight - total) < 1e-12);
        const bound = n * 2 * clippingRange / (quantizationRange * total) * (1 + 1e-6);
        mean.forEach((value, i) => {
          const exact = rows.reduce((all, values, k) => all + w[k]! * values[i]!, 0) / total;
          assert.ok(Math.abs(value - exact) < bound, `${value} ${exact}`);
        });
      },
    ),
    { numRuns: 60 },
  );
  // 40 000 roundings of 0.3 of a step: their mean is off by its standard deviation, 0.46/200, times 6 with a probability of 2e-9.
  const random = new Random(5);
  const options = { maxWeight: 1, clippingRange: 1, quantizationRange: 2, weight: 1 };
  const { vector } = quantize(new Float32Array(40000).fill(0.3), {
    ...options,
    uniform: () => random.uniform(),
  });
  const rounded = vector.subarray(2).reduce((a, b) => a + b, 0) / 40000;
  assert.ok(Math.abs(rounded - 1.3) < 6 * 0.46 / 200, `${rounded}`);
});

test("quantize() cuts values off at the clipping range and counts them; it refuses weights and values that have no place", () => {
  const options = { ...defaultQuantization, weight: 1000, uniform: () => 0 };
  const { vector, clipped } = quantize(Float32Array.of(8, 8.5, -1e30, -8), options);
  assert.deepEqual([[...vector], clipped], [[2 ** 22, 2, 2 ** 22, 2 ** 22, 0, 0], 2]);
  for (const weight of [1001, 0, -1, NaN, 1e-4]) {
    assert.throws(() => quantize([0], { ...options, weight }), {
      name: "RangeError",
      message: /^Cannot weigh an upload by .*: expected at most maxWeight 1000, and at least 0\.000238/,
    });
  }
  for (const value of [NaN, Infinity, -Infinity]) {
    assert.throws(() => quantize([0, value], options), {
      name: "RangeError",
      message: `Cannot quantize value 1: expected a finite number, got ${value}`,
    });
  }
});

test("quantize() that shrinks rounds every value towards 0, by less than a step", () => {
  fc.assert(fc.property(fc.array(fc.double({ min: -1.2, max: 1.2, noNaN: true })), (values) => {
    const options = { maxWeight: 4, clippingRange: 1, quantizationRange: 64, weight: 4, uniform: () => NaN };
    const { vector } = quantize(values, { ...options, isShrinking: true });
    values.forEach((value, i) => {
      const rounded = vector[i + 2]! / 32 - 1;
      assert.equal(rounded, Math.trunc(Math.min(Math.max(value, -1), 1) * 32) / 32 + 0);
    });
  }));
});

test("checkRange() refuses a cohort whose sum could pass the modulus, and names what fits", () => {
  checkRange(1023, defaultQuantization);
  assert.throws(
    () => checkRange(1024, defaultQuantization),
    new RangeError(
      "Cannot add up the uploads of 1024 clients modulo 2^32: 1024 times quantizationRange 4194304 is beyond it; lower " +
        "quantizationRange to 2097152, or ask at most 1023 clients each round",
    ),
  );
  checkRange(1024, { quantizationRange: 2097152 });
});
