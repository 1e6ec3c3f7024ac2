import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { broadcastShapes, sizeOf } from "../reference/array.ts";
import { broadcastPairs, f32Arrays, fractions, integerArrays, magnitudes, shapes } from "./arbitraries.ts";

test("shapes() stays within rank and size, and reaches both ends", () => {
  const options = { minRank: 1, maxRank: 3, maxSize: 500 };
  fc.assert(fc.property(shapes(options), (shape) => {
    assert.ok(
      shape.length >= 1 && shape.length <= 3 && sizeOf(shape) <= 500 && shape.every((extent) => extent >= 1),
    );
  }));
  const extents = new Set(fc.sample(shapes(), { numRuns: 500, seed: 1 }).flat());
  for (const extent of [1, 7, 65, 80]) assert.ok(extents.has(extent), `no extent of ${extent}`);
});

test("broadcastPairs() broadcasts, and differs in shape", () => {
  fc.assert(fc.property(broadcastPairs(), ([a, b]) => assert.ok(sizeOf(broadcastShapes(a, b)) <= 4096)));
  const pairs = fc.sample(broadcastPairs(), { numRuns: 200, seed: 1 });
  assert.ok(pairs.some(([a, b]) => a.length < b.length) && pairs.some(([a, b]) => a.length > b.length));
  assert.ok(pairs.some(([a, b]) => a.length === b.length && sizeOf(a) !== sizeOf(b)));
});

test("f32Arrays() gives exact float32 numbers within the bounds, of every class", () => {
  fc.assert(fc.property(f32Arrays([5, 7], { min: 1e-30, max: 1e20 }), (array) => {
    assert.ok(array.data.every((value) => value === Math.fround(value)));
    assert.ok(array.data.every((value) => value >= Math.fround(1e-30) && value <= Math.fround(1e20)));
  }));
  const samples = fc.sample(f32Arrays([50]), { numRuns: 100, seed: 1 }).map((array) => [...array.data]);
  const some = (f: (value: number) => boolean) => samples.some((values) => values.every(f));
  assert.ok(some((value) => value === 0));
  assert.ok(some((value) => value !== 0 && Math.abs(value) < 2 ** -126), "no denormals");
  assert.ok(some((value) => Math.abs(value) > 1e25), "no huge values");
  assert.ok(samples.some((values) => values[0] !== 0 && new Set(values).size === 1), "no equal values");
});

test("integerArrays() stays below its bound", () => {
  fc.assert(
    fc.property(integerArrays([9], 3), (ids) => assert.ok(ids.data.every((id) => [0, 1, 2].includes(id)))),
  );
});

test("magnitudes() gives every power of ten as often, and fractions() both ends", () => {
  const draws = fc.sample(magnitudes(1e-3, 1e3), { numRuns: 3000, seed: 1 });
  assert.ok(draws.every((value) => value >= 1e-3 && value <= 1e3));
  const counts = new Map<number, number>();
  for (const value of draws) {
    const power = Math.min(2, Math.floor(Math.log10(value)));
    counts.set(power, (counts.get(power) ?? 0) + 1);
  }
  // fast-check puts some draws at the ends; of the rest each of the six powers of ten has a sixth.
  assert.deepEqual([...counts.keys()].sort((a, b) => a - b), [-3, -2, -1, 0, 1, 2]);
  assert.ok([-2, -1, 0, 1].every((power) => counts.get(power)! > 300), `${[...counts.values()]}`);
  const shares = fc.sample(fractions(), { numRuns: 3000, seed: 1 });
  assert.ok(shares.every((value) => value >= 0 && value <= 1));
  assert.ok(shares.filter((value) => value > 0.5).length > 1000);
  const ends = fc.sample(fractions(), { numRuns: 3000, seed: 1 }).filter((value) =>
    value === 0 || value === 1
  );
  assert.equal(new Set(ends).size, 2);
});
