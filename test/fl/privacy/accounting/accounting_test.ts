import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import {
  noiseMultiplierFor,
  privacySpent,
  renyiDivergence,
  roundsWithin,
  type SampledGaussian,
} from "../../../../src/fl/mod.ts";

interface Spent {
  readonly epsilon: number;
  readonly order: number;
}

/** Of Google's dp-accounting and, at broken orders, of integrals; see generate.py beside it. */
const golden: {
  readonly orders: readonly number[];
  readonly cases: readonly (SampledGaussian & {
    readonly delta: number;
    readonly divergences: readonly number[];
    readonly whole: Spent;
  })[];
  readonly composition: {
    readonly parts: readonly SampledGaussian[];
    readonly delta: number;
    readonly epsilon: number;
  };
  readonly calibrations: readonly (SampledGaussian & { readonly epsilon: number; readonly delta: number })[];
} = JSON.parse(readFileSync(new URL("../../../golden/privacy/reference.json", import.meta.url), "utf8"));

const wholeOrders = Array.from({ length: 255 }, (_, i) => i + 2);

/** Sums of a few hundred positive terms in float64, some of them exp of numbers up to 1e5. */
const close = (found: number, wanted: number, message?: string) =>
  assert.ok(Math.abs(found - wanted) <= 1e-10 * Math.abs(wanted) + 1e-13, `${message}: ${found}, ${wanted}`);

test("privacySpent() gives the known ε of sampled Gaussians to four digits, by both conversions", () => {
  const table = [
    [1, 1, 1, 1e-5, 5.3026, 4.7527],
    [1, 10, 100, 1e-5, 5.3026, 4.7527],
    [0.01, 1.1, 1000, 1e-5, 2.0868, 1.7253],
    [0.1, 1, 100, 1e-5, 8.9277, 7.9729],
    [0.1, 2, 200, 1e-5, 4.2204, 3.6797],
    [0.05, 0.8, 500, 1e-6, 16.7884, 15.8337],
    [256 / 60000, 1.1, 14062, 1e-5, 3.0091, 2.5970],
  ] as const;
  for (const [samplingRate, noiseMultiplier, rounds, delta, classic, improved] of table) {
    const spent = (conversion: "classic" | "improved") =>
      privacySpent([{ samplingRate, noiseMultiplier, rounds }], { delta, orders: wholeOrders, conversion })
        .epsilon.toFixed(4);
    assert.equal(spent("classic"), classic.toFixed(4));
    assert.equal(spent("improved"), improved.toFixed(4));
  }
});

test("renyiDivergence() is that of dp-accounting at whole orders, and the integral's at others", () => {
  for (const { divergences, ...mechanism } of golden.cases) {
    golden.orders.forEach((order, i) => {
      close(
        renyiDivergence(order, mechanism),
        divergences[i]!,
        `order ${order}, ${JSON.stringify(mechanism)}`,
      );
    });
  }
});

test("renyiDivergence() of a whole order is the limit of those beside it, and rises with the order", () => {
  const cases = fc.record({
    order: fc.integer({ min: 2, max: 40 }),
    samplingRate: fc.double({ min: 1e-4, max: 0.9999, noNaN: true }),
    noiseMultiplier: fc.double({ min: 0.3, max: 20, noNaN: true }),
  });
  fc.assert(
    fc.property(cases, ({ order, ...mechanism }) => {
      const at = (each: number) => renyiDivergence(each, mechanism);
      const [below, whole, above] = [at(order - 1e-9), at(order), at(order + 1e-9)];
      // A divergence rises by less than order/z² for each order; the moments are right to 1e-15 by their size.
      const slope = 1e-9 * 2 * order / mechanism.noiseMultiplier ** 2 + 1e-13 + 1e-12 * whole;
      assert.ok(whole - below <= slope && above - whole <= slope, `${below}, ${whole}, ${above}`);
      assert.ok(at(order + 0.5) >= whole - 1e-13);
      assert.ok(whole <= order / (2 * mechanism.noiseMultiplier ** 2) + 1e-12, "sampling never costs more");
    }),
    { numRuns: 60 },
  );
});

test("privacySpent() is that of dp-accounting, and its default orders give no more", () => {
  for (const { whole, delta, ...mechanism } of golden.cases) {
    const { epsilon, order } = privacySpent([mechanism], { delta, orders: wholeOrders });
    close(epsilon, whole.epsilon, "one mechanism");
    assert.equal(order, whole.order);
    assert.ok(privacySpent([mechanism], { delta }).epsilon <= epsilon);
  }
  const { parts, delta, epsilon } = golden.composition;
  close(privacySpent(parts, { delta, orders: wholeOrders }).epsilon, epsilon, "composition");
});

test("privacySpent() composes: rounds in two parts are those in one, none cost nothing, none without noise is private", () => {
  const mechanism = { samplingRate: 0.2, noiseMultiplier: 1.3 };
  const of = (...rounds: number[]) =>
    privacySpent(rounds.map((each) => ({ ...mechanism, rounds: each })), { delta: 1e-5 }).epsilon;
  close(of(30, 12), of(42), "in parts");
  assert.equal(of(), 0);
  assert.equal(of(0), 0);
  assert.ok(of(1) > 0);
  assert.equal(
    privacySpent([{ samplingRate: 0.1, noiseMultiplier: 0, rounds: 1 }], { delta: 1e-5 }).epsilon,
    Infinity,
  );
  for (const delta of [0, 1, -1, NaN]) {
    assert.throws(
      () => privacySpent([], { delta }),
      new RangeError(`Cannot account for privacy at δ ${delta}: expected a number between 0 and 1`),
    );
  }
  assert.throws(() => of(1.5), /Cannot account for 1.5 rounds: expected a whole number, 0 or more/);
});

test("renyiDivergence() refuses what has none, by name", () => {
  const mechanism = { samplingRate: 0.1, noiseMultiplier: 1 };
  assert.throws(
    () => renyiDivergence(1, mechanism),
    /of order 1: expected a number above 1/,
  );
  assert.throws(
    () => renyiDivergence(2, { ...mechanism, samplingRate: 1.1 }),
    /sampling rate 1.1: expected a number from 0 to 1/,
  );
  assert.throws(
    () => renyiDivergence(2, { ...mechanism, noiseMultiplier: -1 }),
    /noise multiplier -1: expected 0 or more/,
  );
});

test("noiseMultiplierFor() finds the least noise of an ε, as dp-accounting does", () => {
  for (const { epsilon, noiseMultiplier, ...options } of golden.calibrations) {
    const found = noiseMultiplierFor(epsilon, { ...options, orders: wholeOrders });
    // Both searches end within 1e-9 of it.
    assert.ok(Math.abs(found - noiseMultiplier) < 1e-7 * noiseMultiplier, `${found}, ${noiseMultiplier}`);
    const spent = (z: number) =>
      privacySpent([{ ...options, noiseMultiplier: z }], { delta: options.delta, orders: wholeOrders })
        .epsilon;
    assert.ok(spent(found) <= epsilon && spent(found * (1 - 1e-7)) > epsilon);
  }
  assert.throws(
    () => noiseMultiplierFor(1e-6, { samplingRate: 1, rounds: 10, delta: 1e-5 }),
    /Cannot find noise for ε 0.000001 at δ 0.00001: no noise keeps 10 rounds within it; raise ε/,
  );
});

test("roundsWithin() counts the rounds that a budget lasts", () => {
  const mechanism = { samplingRate: 0.1, noiseMultiplier: 1 };
  const after = (rounds: number, before = 0) =>
    privacySpent([{ ...mechanism, rounds }, { samplingRate: 1, noiseMultiplier: 5, rounds: before }], {
      delta: 1e-5,
    }).epsilon;
  const within = roundsWithin(8, mechanism, { delta: 1e-5, most: 1000 });
  assert.ok(after(within) <= 8 && after(within + 1) > 8, `${within}`);
  const before = [{ samplingRate: 1, noiseMultiplier: 5, rounds: 3 }];
  const rest = roundsWithin(8, mechanism, { delta: 1e-5, most: 1000, before });
  assert.ok(rest < within && after(rest, 3) <= 8 && after(rest + 1, 3) > 8, `${rest}`);
  assert.equal(roundsWithin(8, mechanism, { delta: 1e-5, most: 5 }), 5);
  assert.equal(roundsWithin(0.01, mechanism, { delta: 1e-5, most: 5 }), 0);
});
