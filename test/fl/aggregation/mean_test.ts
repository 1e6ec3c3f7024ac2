import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { tensor } from "../../../src/engine/mod.ts";
import { meanAggregator } from "../../../src/fl/mod.ts";
import { bitsOf, holds, testGpu, upload } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { finishAggregation, openAggregation } from "../../support/aggregation.ts";
import { extents, f32Arrays, shapes } from "../../support/arbitraries.ts";
import { assertClose, gammaN } from "../../support/compare.ts";
import { gaussian } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";

const gpu = await testGpu();

/** Averages clients' values, given in blocks of at most `blockSize`, where as many more are expected as are lost. */
async function average(
  clients: readonly F64Array[],
  shares: readonly number[],
  { blockSize = 1, lost = 0 }: { readonly blockSize?: number; readonly lost?: number } = {},
): Promise<Float32Array> {
  const shape = clients[0]!.shape;
  const aggregation = openAggregation(meanAggregator, clients.length + lost);
  for (let start = 0; start < clients.length; start += blockSize) {
    const members = clients.slice(start, start + blockSize);
    const values = upload(
      gpu,
      F64Array.from([members.length, ...shape], members.flatMap(({ data }) => [...data])),
    );
    const own = shares.slice(start, start + blockSize);
    const weights = tensor(gpu, own);
    aggregation.add({
      clients: members.map((_, i) => ({ id: start + i, numExamples: 1, lastRound: 0 })),
      values: new Map([["x", values]]),
      shares: own,
      weights,
    });
    values.dispose();
    weights.dispose();
  }
  const { values } = await finishAggregation(aggregation);
  aggregation.dispose();
  const result = await values.get("x")!.floats();
  values.get("x")!.dispose();
  return result;
}

/** n_k / n, as the simulation gives them. */
function sharesOf(counts: readonly number[]): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => count / total);
}

const counts = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 24 });

test("meanAggregator gives Σ p_k·x_k, the same bits whatever the blocks, and leaks nothing", async () => {
  const before = gpu.stats().liveBytes;
  const cases = fc.tuple(shapes({ maxRank: 3, maxSize: 2000 }), counts, extents(25), fc.nat());
  await holds(cases, async ([shape, counts, blockSize, seed]) => {
    const random = new Random(seed);
    const clients = counts.map(() => F64Array.fromF32(shape, gaussian(shape, random).data));
    const shares = sharesOf(counts);
    const found = await average(clients, shares, { blockSize });
    assert.deepEqual(bitsOf(found), bitsOf(await average(clients, shares)));
    assert.deepEqual(bitsOf(found), bitsOf(await average(clients, shares, { blockSize: clients.length })));
    const sum = (f: (value: number) => number) =>
      Array.from(
        found,
        (_, i) => clients.reduce((total, { data }, k) => total + shares[k]! * f(data[i]!), 0),
      );
    // One rounding of p_k, one of the product, K of the sum.
    const bound = sum(Math.abs).map((value) => gammaN(counts.length + 2) * value);
    assertClose(found, sum((value) => value), { absolute: bound });
  });
  assert.equal(gpu.stats().liveBytes, before);
});

test("meanAggregator of identical clients is the identity to K + 2 roundings, of ordinary, huge and tiny values", async () => {
  const cases = fc.tuple(counts, f32Arrays([37], { huge: 1e37 }), fc.integer({ min: 1, max: 7 }));
  await holds(cases, async ([counts, x, blockSize]) => {
    // Every term has the sign of x, so the error is γ_{K+2}·|x|; shares add up to 1 within K·2⁻⁵³.
    const found = await average(counts.map(() => x), sharesOf(counts), { blockSize });
    assertClose(found, x, { relative: gammaN(counts.length + 2), absolute: counts.length * 2 ** -126 });
  });
});

test("meanAggregator of one client is the identity bit for bit", async () => {
  await holds(f32Arrays([33], { classes: ["ordinary", "huge", "zero", "equal"] }), async (x) => {
    const found = await average([x], [1]);
    assert.deepEqual(Array.from(found, (value) => value + 0), Array.from(x.data, (value) => value + 0));
  }, 20);
});

test("meanAggregator divides by the shares that came, so that lost clients spoil nothing", async () => {
  await holds(fc.tuple(counts, fc.nat(), fc.nat()), async ([counts, seed, lost]) => {
    const random = new Random(seed);
    const shares = sharesOf(counts);
    const clients = counts.map(() => F64Array.fromF32([5], gaussian([5], random).data));
    const came = counts.map((_, k) => k).filter((k) => k === 0 || (lost >> (k % 24)) % 2 === 0);
    const found = await average(came.map((k) => clients[k]!), came.map((k) => shares[k]!), {
      lost: counts.length - came.length,
    });
    const total = came.reduce((sum, k) => sum + counts[k]!, 0);
    const sum = (f: (value: number) => number) =>
      Array.from(found, (_, i) => came.reduce((t, k) => t + counts[k]! / total * f(clients[k]!.data[i]!), 0));
    // As above, one rounding of 1/Σp and one of the last product.
    const bound = sum(Math.abs).map((value) => gammaN(counts.length + 4) * value);
    assertClose(found, sum((value) => value), { absolute: bound });
  }, 20);
});
