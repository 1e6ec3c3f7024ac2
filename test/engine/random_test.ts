import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { philox4x32, randomKey, RandomStream } from "../../src/engine/random.ts";

const seeds = fc.maxSafeNat();
const stream = (seed: number, ...path: (number | string)[]): RandomStream =>
  new RandomStream(randomKey(seed, ...path));

function draws(count: number, draw: () => number): Float64Array {
  return new Float64Array(count).map(draw);
}

function mean(values: Float64Array): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

function centralMoment(values: Float64Array, order: number): number {
  const center = mean(values);
  return mean(values.map((v) => (v - center) ** order));
}

/** Pearson's statistic of counts against equal expectation. */
function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((a, b) => a + b, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

/**
 * Upper 1e-6 point of the chi-square distribution (Wilson and Hilferty's cube approximation, z = 4.753). The seeds
 * are fixed, so the tests below either always pass or always fail.
 */
function chiSquareLimit(degrees: number): number {
  const spread = 2 / (9 * degrees);
  return degrees * (1 - spread + 4.753 * Math.sqrt(spread)) ** 3;
}

/** Asserts that the sample mean is within five standard errors of the expected one. */
function assertMean(values: Float64Array, expected: number, variance: number, what: string): void {
  const limit = 5 * Math.sqrt(variance / values.length);
  const actual = mean(values);
  assert.ok(Math.abs(actual - expected) < limit, `${what}: expected ${expected} ± ${limit}, got ${actual}`);
}

describe("philox4x32()", () => {
  // The three philox4x32-10 lines of the known-answer file that Random123 publishes.
  it("philox4x32() gives the published known answers", () => {
    const ones = 0xffffffff;
    assert.deepEqual(philox4x32([0, 0, 0, 0], [0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
    assert.deepEqual(
      philox4x32([ones, ones, ones, ones], [ones, ones]),
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    );
    assert.deepEqual(
      philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    );
  });

  it("philox4x32() equals the rounds written out in 64-bit integers", () => {
    const word = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(fc.property(fc.tuple(word, word, word, word), fc.tuple(word, word), (counter, key) => {
      let [a, b, c, d] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
      let [k0, k1] = key.map(BigInt) as [bigint, bigint];
      for (let round = 0; round < 10; round++) {
        const p = a * 0xd2511f53n;
        const q = c * 0xcd9e8d57n;
        [a, b, c, d] = [(q >> 32n) ^ b ^ k0, q & 0xffffffffn, (p >> 32n) ^ d ^ k1, p & 0xffffffffn];
        k0 = BigInt.asUintN(32, k0 + 0x9e3779b9n);
        k1 = BigInt.asUintN(32, k1 + 0xbb67ae85n);
      }
      assert.deepEqual(philox4x32(counter, key), [a, b, c, d].map(Number));
    }));
  });
});

describe("randomKey()", () => {
  it("randomKey() separates seeds, names, numbers, order and boundaries", () => {
    const keys = [
      randomKey(1),
      randomKey(2),
      randomKey(2 ** 32 + 1),
      randomKey(1, 0),
      randomKey(1, "0"),
      randomKey(1, ""),
      randomKey(1, "ab", "c"),
      randomKey(1, "a", "bc"),
      randomKey(1, "abc"),
      randomKey(1, 2, 3),
      randomKey(1, 3, 2),
      randomKey(2, 1, 3),
      randomKey(Number.MAX_SAFE_INTEGER),
      randomKey(Number.MAX_SAFE_INTEGER - 1),
    ].map(String);
    assert.equal(new Set(keys).size, keys.length);
  });

  it("randomKey() gives 64 distinct words for a grid of rounds, clients and steps", () => {
    const words = new Set<number>();
    for (let i = 0; i < 20_000; i++) {
      randomKey(7, "dropout", i % 10, Math.floor(i / 10) % 100, i).forEach((w) => words.add(w));
    }
    // 40,000 words of 32 bits: 0.19 repeats are expected by chance, 8 would happen once in 10^10 runs.
    assert.ok(words.size > 40_000 - 8, `${40_000 - words.size} words repeat`);
  });

  it("randomKey() refuses seeds that are negative, fractional or too large", () => {
    for (const bad of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
      assert.throws(() => randomKey(bad), {
        name: "RangeError",
        message: new RegExp(`the seed .* got ${bad}`),
      });
      assert.throws(() => randomKey(0, "x", bad), { name: "RangeError", message: /path component 2/ });
    }
  });
});

describe("RandomStream", () => {
  it("RandomStream repeats itself for equal keys and differs for others", () => {
    fc.assert(fc.property(seeds, fc.string(), (seed, name) => {
      const take = (s: RandomStream): number[] => Array.from({ length: 9 }, () => s.uint32());
      assert.deepEqual(take(stream(seed, name)), take(stream(seed, name)));
      assert.notDeepEqual(take(stream(seed, name)), take(stream(seed, name, 0)));
    }));
  });

  it("uint32() walks the blocks of its key in order", () => {
    const words = new RandomStream([0, 0]);
    const expected = [...philox4x32([0, 0, 0, 0], [0, 0]), ...philox4x32([1, 0, 0, 0], [0, 0])];
    assert.deepEqual(expected.map(() => words.uint32()), expected);
  });

  it("uint32() spreads evenly over each of its four bytes", () => {
    for (const shift of [0, 8, 16, 24]) {
      const words = stream(1, "bytes", shift);
      const counts = new Array<number>(256).fill(0);
      for (let i = 0; i < 50_000; i++) counts[(words.uint32() >>> shift) & 255]!++;
      assert.ok(chiSquare(counts) < chiSquareLimit(255), `shift ${shift}: ${chiSquare(counts)}`);
    }
  });

  it("uniform() stays in [0, 1), has its grid and the right moments", () => {
    for (const bits of [24, 53] as const) {
      const values = draws(100_000, ((s) => () => s.uniform(bits))(stream(2, bits)));
      assert.ok(values.every((v) => v >= 0 && v < 1 && Number.isInteger(v * 2 ** bits)));
      assertMean(values, 1 / 2, 1 / 12, "mean");
      assertMean(values.map((v) => (v - 0.5) ** 2), 1 / 12, 1 / 180, "variance");
    }
  });

  it("uniform() draws are uncorrelated with their neighbours and with those of the next stream", () => {
    const a = draws(50_000, ((s) => () => s.uniform() - 0.5)(stream(3, "client", 0)));
    const b = draws(50_000, ((s) => () => s.uniform() - 0.5)(stream(3, "client", 1)));
    assertMean(a.slice(1).map((v, i) => v * a[i]!), 0, 1 / 144, "lag 1");
    assertMean(a.map((v, i) => v * b[i]!), 0, 1 / 144, "streams");
  });

  it("integer() stays below n and is unbiased where a plain modulo is not", () => {
    fc.assert(fc.property(seeds, fc.maxSafeNat().map((n) => Math.max(1, n)), (seed, n) => {
      const draw = stream(seed).integer(n);
      assert.ok(Number.isSafeInteger(draw) && draw >= 0 && draw < n);
    }));
    // With n = 3·2^30, a plain modulo of a word would land in the lowest third half the time.
    for (const n of [3 * 2 ** 30, 3 * 2 ** 51, 7, 1000]) {
      const s = stream(4, n);
      const counts = n <= 1000 ? new Array<number>(n).fill(0) : [0, 0, 0];
      for (let i = 0; i < 50_000; i++) counts[Math.floor((s.integer(n) / n) * counts.length)]!++;
      assert.ok(chiSquare(counts) < chiSquareLimit(counts.length - 1), `n = ${n}: ${chiSquare(counts)}`);
    }
  });

  it("normal() has the moments of the standard normal", () => {
    const values = draws(200_000, ((s) => () => s.normal())(stream(5)));
    // Variances of x, x², x³, x⁴ are 1, 2, 15, 96.
    assertMean(values, 0, 1, "first");
    assertMean(values.map((v) => v ** 2), 1, 2, "second");
    assertMean(values.map((v) => v ** 3), 0, 15, "third");
    assertMean(values.map((v) => v ** 4), 3, 96, "fourth");
    // P(|x| > 1.959964) = 0.05; the two halves of a pair are independent.
    assertMean(values.map((v) => Number(Math.abs(v) > 1.959964)), 0.05, 0.0475, "tail");
    assertMean(values.filter((_, i) => i % 2 === 0).map((v, i) => v * values[2 * i + 1]!), 0, 1, "pair");
  });

  it("gamma() has mean and variance equal to its shape, below and above 1", () => {
    for (const shape of [0.05, 0.3, 0.999, 1, 1.5, 10, 1e6]) {
      const values = draws(
        100_000,
        ((s) => () => s.gamma(shape))(stream(6, "gamma", Math.round(shape * 1000))),
      );
      assert.ok(values.every((v) => v >= 0 && v < Infinity));
      assertMean(values, shape, shape, `mean of shape ${shape}`);
      // The fourth central moment is 3·shape² + 6·shape, so that of (x - mean)² is 2·shape² + 6·shape.
      assertMean(
        values.map((v) => (v - shape) ** 2),
        shape,
        2 * shape ** 2 + 6 * shape,
        `variance of shape ${shape}`,
      );
    }
  });

  it("gamma() of shape 1 is the exponential distribution", () => {
    const s = stream(7);
    const counts = new Array<number>(20).fill(0);
    for (let i = 0; i < 50_000; i++) counts[Math.min(19, Math.floor(20 * (1 - Math.exp(-s.gamma(1)))))]!++;
    assert.ok(chiSquare(counts) < chiSquareLimit(19), `${chiSquare(counts)}`);
  });

  it("dirichlet() gives shares that sum to one, however small or large alpha is", () => {
    const alpha = fc.oneof(
      fc.constantFrom(1e-300, 1e-9, 1e-3, 1, 1e9, 1e300),
      fc.double({ min: 1e-6, max: 1e3, noNaN: true }),
    );
    fc.assert(fc.property(seeds, alpha, fc.integer({ min: 1, max: 40 }), (seed, a, k) => {
      const shares = stream(seed).dirichlet(a, k);
      assert.equal(shares.length, k);
      assert.ok(shares.every((p) => p >= 0 && p <= 1), `${shares}`);
      assert.ok(Math.abs(shares.reduce((x, y) => x + y) - 1) < 1e-14 * k);
    }));
  });

  it("dirichlet() has the right mean and variance", () => {
    const [k, alpha] = [5, 0.3];
    const s = stream(8);
    const first = draws(50_000, () => s.dirichlet(alpha, k)[0]!);
    // Beta(alpha, (k - 1)·alpha): mean 1/k, variance (k - 1)/(k²(k·alpha + 1)) = 4/(25·2.5) = 0.064.
    assertMean(first, 0.2, 0.064, "mean");
    const variance = centralMoment(first, 2);
    assert.ok(
      Math.abs(variance - 0.064) < 5 * Math.sqrt(centralMoment(first, 4) / first.length),
      `${variance}`,
    );
  });

  it("shuffle() makes every order of four equally often, in place", () => {
    const s = stream(9);
    const counts = new Map<string, number>();
    for (let i = 0; i < 24_000; i++) {
      const items = Uint8Array.of(0, 1, 2, 3);
      assert.equal(s.shuffle(items), items);
      counts.set(items.join(), (counts.get(items.join()) ?? 0) + 1);
    }
    assert.equal(counts.size, 24);
    assert.ok(chiSquare([...counts.values()]) < chiSquareLimit(23));
  });

  it("sampleWithoutReplacement() returns distinct indices, each equally often in each place", () => {
    fc.assert(fc.property(seeds, fc.nat(60), fc.nat(60), (seed, a, b) => {
      const [k, n] = a < b ? [a, b] : [b, a];
      const sample = stream(seed).sampleWithoutReplacement(n, k);
      assert.equal(new Set(sample).size, k);
      assert.ok(sample.every((i) => Number.isInteger(i) && i >= 0 && i < n));
    }));
    const s = stream(10);
    const counts = new Map<string, number>();
    for (let i = 0; i < 20_000; i++) {
      const key = s.sampleWithoutReplacement(5, 2).join();
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    assert.equal(counts.size, 20);
    assert.ok(chiSquare([...counts.values()]) < chiSquareLimit(19));
    assert.equal(stream(11).sampleWithoutReplacement(Number.MAX_SAFE_INTEGER, 3).length, 3);
  });

  it("RandomStream refuses arguments that have no distribution", () => {
    const s = stream(0);
    for (const bad of [0, -1, 1.5, NaN]) assert.throws(() => s.integer(bad), RangeError);
    for (const bad of [0, -1, NaN, Infinity]) {
      assert.throws(() => s.gamma(bad), { name: "RangeError", message: new RegExp(`got ${bad}`) });
      assert.throws(() => s.dirichlet(bad, 3), { name: "RangeError", message: /alpha/ });
    }
    for (const bad of [0, -1, 1.5, NaN]) assert.throws(() => s.dirichlet(1, bad), RangeError);
    assert.throws(() => s.sampleWithoutReplacement(2, 3), { message: /k = 3 and n = 2/ });
    assert.throws(() => s.sampleWithoutReplacement(-1, 0), RangeError);
  });
});
