import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { tensor } from "../../../src/engine/mod.ts";
import {
  aggregationRules,
  type AggregatorFactory,
  bulyan,
  geometricMedian,
  isRefusal,
  krum,
  median,
  multiKrum,
  normBounding,
  trimmedMean,
} from "../../../src/fl/mod.ts";
import * as oracle from "../../reference/robust_rules.ts";
import { bitsOf, holds, testGpu } from "../../engine/harness.ts";
import { openAggregation } from "../../support/aggregation.ts";
import { assertClose } from "../../support/compare.ts";
import { Random } from "../../support/random.ts";

const gpu = await testGpu();

interface CombineOptions {
  readonly start?: readonly number[];
  readonly shares?: readonly number[];
  readonly blockSize?: number;
  readonly cohort?: number;
  /** Where the values are cut into tensors of their own. */
  readonly cut?: number;
}

/** What a rule makes of rows; they are sent as two tensors, in blocks. */
async function combine(
  rule: AggregatorFactory,
  rows: oracle.Rows,
  options: CombineOptions = {},
): Promise<Float32Array | string> {
  const width = rows[0]!.length;
  const {
    start = new Array<number>(width).fill(0),
    shares = rows.map(() => 1 / rows.length),
    blockSize = 3,
    cohort = rows.length,
    cut = Math.floor(width / 2),
  } = options;
  const spans = [["a", 0, cut], ["b", cut, width]].filter(([, from, to]) => to! > from!) as [
    string,
    number,
    number,
  ][];
  const starts = new Map(
    spans.map(([name, from, to]) => [name, tensor(gpu, Float32Array.from(start.slice(from, to)))]),
  );
  const before = gpu.stats().liveBytes;
  const aggregation = openAggregation(rule, cohort, { start: starts });
  for (let at = 0; at < rows.length; at += blockSize) {
    const members = rows.slice(at, at + blockSize);
    const values = new Map(spans.map(([name, from, to]) => [
      name,
      tensor(gpu, Float32Array.from(members.flatMap((row) => row.slice(from, to))), {
        shape: [members.length, to - from],
      }),
    ]));
    const own = shares.slice(at, at + blockSize);
    const weights = tensor(gpu, own);
    const clients = members.map((_, i) => ({ id: at + i, numExamples: 1, lastRound: 0 }));
    aggregation.add({ clients, values, shares: own, weights });
    for (const each of [...values.values(), weights]) each.dispose();
  }
  const result = await aggregation.finish();
  aggregation.dispose();
  if (isRefusal(result)) {
    assert.equal(gpu.stats().liveBytes, before);
    for (const each of starts.values()) each.dispose();
    return result.refused;
  }
  const parts = await Promise.all(spans.map(([name]) => result.values.get(name)!.floats()));
  for (const each of result.values.values()) each.dispose();
  assert.equal(gpu.stats().liveBytes, before, "it keeps nothing");
  for (const each of starts.values()) each.dispose();
  return Float32Array.from(parts.flatMap((part) => [...part]));
}

async function values(...given: Parameters<typeof combine>): Promise<Float32Array> {
  const result = await combine(...given);
  assert.ok(typeof result !== "string", String(result));
  return result;
}

const onLine = (...numbers: readonly number[]): oracle.Rows => numbers.map((each) => [each]);

test("median and trimmed mean: numbers worked by hand, odd and even counts, coordinate by coordinate", async () => {
  assert.deepEqual([...await values(median(), onLine(10, 1, 2))], [2]);
  assert.deepEqual([...await values(median(), onLine(10, 1, 4, 2))], [3]);
  assert.deepEqual([...await values(median(), [[1, -5], [2, 9], [30, 7]])], [2, 7]);
  // ⌊0.25·4⌋ = 1 on each side.
  assert.deepEqual([...await values(trimmedMean({ share: 0.25 }), onLine(10, 1, 4, 2))], [3]);
  assert.deepEqual([...await values(trimmedMean({ share: 0.2 }), onLine(1, 2, 3, 7, 100))], [4]);
});

test("krum, multi-krum and bulyan: numbers worked by hand, the first of equal scores", async () => {
  // f = 1, two neighbours: 5, 2, 2, 5, and 97² + 98².
  assert.deepEqual([...await values(krum({ attackers: 1 }), onLine(0, 1, 2, 3, 100))], [1]);
  assert.deepEqual([...await values(krum({ attackers: 1 }), onLine(100, 3, 2, 1, 0))], [2]);
  assert.deepEqual([...await values(multiKrum({ attackers: 1 }), onLine(0, 1, 2, 3, 100))], [1.5]);
  assert.deepEqual([...await values(multiKrum({ attackers: 1, keep: 4 }), onLine(0, 1, 2, 3, 100))], [1.5]);
  // In turn: 2 (10, before 3), 3 (9), 1 (10, before 4), 4 (1, before 5), 0 (25, before 5); the three nearest to the median 2.
  assert.deepEqual([...await values(bulyan({ attackers: 1 }), onLine(0, 1, 2, 3, 4, 5, 100))], [2]);
});

test("geometric median: the middle on a line, the centre of a triangle, Fermat's sum of 3-4-5, and weights", async () => {
  assert.deepEqual([...await values(geometricMedian(), onLine(0, 1, 10))], [1]);
  const equilateral = [[0, 0], [1, 0], [0.5, Math.sqrt(3) / 2]];
  assertClose(await values(geometricMedian(), equilateral), [0.5, Math.sqrt(3) / 6], { absolute: 1e-5 });
  const right = [[0, 0], [4, 0], [0, 3]];
  const fermat = await values(geometricMedian(), right);
  assertClose(
    [oracle.sumOfDistances(right, [...fermat], [1, 1, 1])],
    [Math.sqrt(25 + 12 * Math.sqrt(3))],
    { absolute: 1e-5 },
  );
  // More than half of the weight at one point.
  const shares = [0.2, 0.6, 0.2];
  assertClose(await values(geometricMedian({ weighted: true }), right, { shares }), [4, 0], {
    absolute: 1e-4,
  });
});

test("norm bounding: numbers worked by hand, weighed by examples, changes counted from the start", async () => {
  const rows = [[3, 4], [0.6, 0.8]];
  assertClose(await values(normBounding({ norm: 1 }), rows), [0.6, 0.8], { absolute: 1e-6 });
  assertClose(await values(normBounding({ norm: 10 }), rows, { shares: [0.25, 0.75] }), [1.2, 1.6], {
    absolute: 1e-6,
  });
  const start = [10, 20];
  const moved = rows.map((row) => row.map((value, i) => value + start[i]!));
  assertClose(await values(normBounding({ norm: 1 }), moved, { start }), [10.6, 20.8], { absolute: 1e-6 });
  // The median norm of 1, 2 and 100.
  assertClose(await values(normBounding(), onLine(1, 2, 100)), [5 / 3], { absolute: 1e-6 });
});

/** Rules with their float64 oracles. */
const rules: Readonly<
  Record<
    string,
    (rows: oracle.Rows, start: readonly number[]) => { rule: AggregatorFactory; wanted: number[] }
  >
> = {
  median: (rows) => ({ rule: median(), wanted: oracle.median(rows) }),
  "trimmed-mean": (rows) => ({
    rule: trimmedMean({ share: 0.2 }),
    wanted: oracle.trimmedMean(rows, Math.floor(rows.length / 5)),
  }),
  krum: (rows) => ({ rule: krum({ attackers: 2 }), wanted: oracle.multiKrum(rows, 2, 1) }),
  "multi-krum": (rows) => ({
    rule: multiKrum({ attackers: 2 }),
    wanted: oracle.multiKrum(rows, 2, rows.length - 4),
  }),
  bulyan: (rows) => ({ rule: bulyan({ attackers: 1 }), wanted: oracle.bulyan(rows, 1) }),
  "norm-bounding": (rows, start) => {
    const norms = rows.map((row) => oracle.distance(row, start));
    const alpha = rows.map(() => 1 / rows.length);
    return {
      rule: normBounding(),
      wanted: oracle.boundedMean(rows, { start, alpha, norm: oracle.medianOf(norms) }),
    };
  },
};

for (const [name, make] of Object.entries(rules)) {
  test(`${name} is its float64 oracle on any shapes and scales, with the same bits whatever the blocks`, async () => {
    const cases = fc.tuple(
      fc.integer({ min: 7, max: 13 }),
      fc.constantFrom(1, 2, 7, 65, 131),
      fc.constantFrom(1e-20, 1e-3, 1, 1e25),
      fc.nat(),
    );
    await holds(cases, async ([n, width, scale, seed]) => {
      const random = new Random(seed);
      const start = Float32Array.from({ length: width }, () => scale * random.normal());
      const rows = Array.from(
        { length: n },
        () => [...start.map((x) => x + scale * random.normal())],
      );
      const { rule, wanted } = make(rows, [...start]);
      const found = await values(rule, rows, { start: [...start] });
      // A dozen roundings of numbers up to some 5 times the scale.
      const bound = 12 * 5 * scale * 2 ** -24;
      found.forEach((value, i) => assert.ok(Math.abs(value - wanted[i]!) <= bound, `${value}, ${wanted[i]}`));
      const others = await values(rule, rows, { start: [...start], blockSize: 1 });
      assert.deepEqual(bitsOf(others), bitsOf(found));
    }, 12);
  });
}

test("geometric median has the oracle's sum of distances, on any shapes and scales", async () => {
  const cases = fc.tuple(
    fc.integer({ min: 3, max: 9 }),
    fc.constantFrom(1, 2, 7, 65),
    fc.constantFrom(1e-3, 1e20),
    fc.nat(),
  );
  await holds(cases, async ([n, width, scale, seed]) => {
    const random = new Random(seed);
    const start = Array.from({ length: width }, () => Math.fround(random.normal()));
    const rows = Array.from({ length: n }, () => start.map((x) => Math.fround(x + scale * random.normal())));
    const found = await values(geometricMedian(), rows, { start });
    const alpha = rows.map(() => 1 / n);
    const [mine, least] = [[...found], oracle.geometricMedian(rows, alpha)].map((z) =>
      oracle.sumOfDistances(rows, z, alpha)
    );
    // Values of 1 beside changes of 1e-3 are rounded by 6e-5 of these; what slow iterations leave is second order.
    assert.ok(mine! <= least! * (1 + 2e-4), `${mine} for ${least}`);
  }, 12);
});

test("every rule gives equal uploads back, and single ones of any size don't carry it away", async () => {
  const equal = Array.from({ length: 15 }, () => [0.1, -3, 7]);
  for (const [name, rule] of aggregationRules) {
    if (name === "mean") continue;
    const start = [0, 1, 2];
    assertClose(await values(rule(), equal, { start }), equal[0]!, { absolute: 1e-6 });
    for (const size of [1e3, 1e30, 3e38]) {
      const rows = [...equal.slice(2), [size, -size, size], [-size, size, size]];
      const found = await values(rule(), rows, { start });
      // Norm bounding lets each of them move the mean by its share of the bound, √(0.01 + 16 + 25).
      const bound = name === "norm-bounding" ? 6.5 * 2 * 2 / 15 : 1e-4;
      found.forEach((value, i) =>
        assert.ok(Math.abs(value - equal[0]![i]!) < bound, `${name}, ${size}: ${value} for ${equal[0]![i]}`)
      );
    }
  }
});

test("rules refuse too few clients before a run with what would do, and a round that lost too many", async () => {
  const refusals: readonly (readonly [AggregatorFactory, number, RegExp])[] = [
    [
      krum({ attackers: 2 }),
      6,
      /6 clients a round by krum: to withstand 2 attackers it needs at least 7; raise clientsPerRound to 7 or more, or set attackers to 1 or less/,
    ],
    [krum(), 2, /by krum: to withstand 1 attacker it needs at least 5; raise clientsPerRound to 5 or more$/],
    [
      bulyan(),
      10,
      /by bulyan: to withstand 2 attackers it needs at least 11; .*or set attackers to 1 or less/,
    ],
    [
      trimmedMean(),
      4,
      /by trimmed-mean: to leave out a share of 0.2 on each side it needs at least 5; .*or raise share/,
    ],
    [median(), 2, /by median: to outvote one it needs at least 3/],
    [normBounding(), 1, /1 client a round by norm-bounding: .*or set norm to a number/],
  ];
  for (const [rule, cohort, message] of refusals) {
    assert.throws(() => rule.check!(cohort), { name: "RangeError", message });
  }
  for (const [, rule] of aggregationRules) assert.doesNotThrow(() => rule().check?.(19));
  assert.equal(
    await combine(krum({ attackers: 2 }), onLine(0, 1, 2, 3, 4), { cohort: 10 }),
    "to withstand 2 attackers krum needs at least 7 uploads, and 5 came",
  );
  // f is that of the clients that were asked, whoever came.
  assert.equal(
    await combine(krum(), onLine(0, 1, 2, 3, 4), { cohort: 10 }),
    "to withstand 2 attackers krum needs at least 7 uploads, and 5 came",
  );
});

test("rules refuse what is no value of a parameter, by name", () => {
  using values = tensor(gpu, [1, 2]);
  const aggregation = openAggregation(median(), 2);
  assert.throws(
    () =>
      aggregation.add({
        clients: [0, 1].map((id) => ({ id, numExamples: 1, lastRound: 0 })),
        values: new Map([["step-counts", values]]),
        shares: [0.5, 0.5],
        weights: values,
      }),
    {
      message:
        "Cannot aggregate by median: clients send step-counts, which is no value of a parameter; take the mean",
    },
  );
});
