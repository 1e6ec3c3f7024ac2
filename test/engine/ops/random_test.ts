import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { dropout } from "../../../src/engine/ops/random.ts";
import { philox4x32, type PhiloxBlock, type RandomKey, randomKey } from "../../../src/engine/random.ts";
import { tensor } from "../../../src/engine/tensor.ts";
import { F64Array } from "../../reference/array.ts";
import { shapes } from "../../support/arbitraries.ts";
import { bitsOf, evaluate, holds, run, testGpu, upload } from "../harness.ts";

const gpu = await testGpu();
const uploadKeys = (keys: readonly RandomKey[]) =>
  tensor(gpu, Uint32Array.from(keys.flat()), { shape: [keys.length, 2] });

/** Whether each of `n` elements of one member is kept, by the host's Philox. */
function keptByHost(
  n: number,
  { key, site, rate }: { key: RandomKey; site: number; rate: number },
): boolean[] {
  let block: PhiloxBlock = [0, 0, 0, 0];
  return Array.from({ length: n }, (_, i) => {
    if (i % 4 === 0) block = philox4x32([i / 4, site, 0, 0], key);
    return block[i % 4]! >= Math.floor(rate * 2 ** 32);
  });
}

/** Kept elements are scaled in float32. */
const scaled = (value: number, rate: number) => Math.fround(value * Math.fround(1 / (1 - rate)));

const rates = fc.constantFrom(0.1, 0.5, 0.9, 1e-9, 0.999999);

test("dropout() keeps exactly what the host's Philox keeps, and its gradient repeats it", async () => {
  const cases = fc.tuple(
    shapes({ minRank: 1, maxSize: 1500 }),
    fc.boolean(),
    rates,
    fc.nat(),
    fc.nat({ max: 0x7fffffff }),
  );
  await holds(cases, async ([shape, perMember, rate, seed, site]) => {
    const members = perMember ? shape[0]! : 1;
    const keys = Array.from({ length: members }, (_, client) => randomKey(seed, "dropout", client));
    const x = F64Array.full(shape).map((_, i) => Math.fround(i + 1));
    const { y, dy, gradients: [dx] } = await evaluate(
      gpu,
      (t) => dropout(t, { rate, site, keys: uploadKeys(keys) }),
      { inputs: [x] },
    );
    const kept = keys.flatMap((key) => keptByHost(x.size / members, { key, site, rate }));
    assert.deepEqual([...y], kept.map((keep, i) => keep ? scaled(x.data[i]!, rate) : 0));
    assert.deepEqual([...dx!], kept.map((keep, i) => keep ? scaled(dy.data[i]!, rate) : 0));
  });
});

test("dropout() keeps an element whose draw is exactly the rate, and drops it one step above", async () => {
  const key = randomKey(7);
  const [word] = philox4x32([0, 3, 0, 0], key);
  for (const [rate, kept] of [[word / 2 ** 32, true], [(word + 1) / 2 ** 32, false]] as const) {
    const y = await run(
      gpu,
      () => dropout(tensor(gpu, [1], { shape: [1, 1] }), { rate, site: 3, keys: uploadKeys([key]) }),
    );
    assert.equal(y[0] !== 0, kept);
  }
});

test("dropout() of a member has the same bits whoever trains beside it", async () => {
  const cases = fc.record({
    members: fc.integer({ min: 2, max: 6 }),
    size: fc.constantFrom(1, 3, 4, 37, 256),
    rate: rates,
    seed: fc.nat(),
  });
  await holds(cases, async ({ members, size, rate, seed }) => {
    const keys = Array.from({ length: members }, (_, client) => randomKey(seed, client));
    const x = new Float32Array(members * size).fill(1);
    const together = await run(
      gpu,
      () => dropout(tensor(gpu, x, { shape: [members, size] }), { rate, site: 1, keys: uploadKeys(keys) }),
    );
    const own = seed % members;
    const alone = await run(
      gpu,
      () =>
        dropout(tensor(gpu, x.slice(0, size), { shape: [1, size] }), {
          rate,
          site: 1,
          keys: uploadKeys([keys[own]!]),
        }),
    );
    assert.deepEqual(bitsOf(together.slice(own * size, (own + 1) * size)), bitsOf(alone));
  }, 30);
});

test("dropout() drops at its rate, and independently of the key, the site and the neighbour", async () => {
  const n = 100_000;
  const rate = 0.3;
  const ones = F64Array.full([n], 1);
  const masks: number[][] = [];
  for (const [seed, site] of [[1, 0], [1, 1], [2, 0]] as const) {
    const y = await run(
      gpu,
      () => dropout(upload(gpu, ones), { rate, site, keys: uploadKeys([randomKey(seed)]) }),
    );
    masks.push(Array.from(y, (value) => value === 0 ? 1 : 0));
  }
  masks.push([...masks[0]!.slice(1), masks[0]![0]!]);
  // Of n draws that are 1 with probability p the mean is within five standard errors, √(p(1 − p)/n) each.
  const meanNear = (values: readonly number[], p: number, what: string) => {
    const mean = values.reduce((sum, value) => sum + value, 0) / n;
    assert.ok(Math.abs(mean - p) < 5 * Math.sqrt(p * (1 - p) / n), `${what}: ${mean} instead of ${p}`);
  };
  masks.forEach((mask, i) => {
    meanNear(mask, rate, `mask ${i}`);
    if (i > 0) meanNear(mask.map((value, j) => value * masks[0]![j]!), rate * rate, `masks 0 and ${i}`);
  });
});

test("dropout() at rate 0 is the identity", async () => {
  const x = F64Array.fromF32([3], [1, -2, 3]);
  using keys = uploadKeys([[1, 2]]);
  const { y, dy, gradients: [dx] } = await evaluate(gpu, (t) => dropout(t, { rate: 0, site: 0, keys }), {
    inputs: [x],
  });
  assert.deepEqual([...y], [1, -2, 3]);
  assert.deepEqual([...dx!], [...dy.data]);
});

test("dropout() refuses a rate outside [0, 1) and keys that do not fit", () => {
  using x = tensor(gpu, new Float32Array(6), { shape: [3, 2] });
  using keys = uploadKeys([[1, 2], [3, 4]]);
  for (const rate of [1, -0.1, NaN]) {
    assert.throws(() => dropout(x, { rate, site: 0, keys }), {
      name: "RangeError",
      message: /expected 0 <= rate < 1/,
    });
  }
  assert.throws(() => dropout(x, { rate: 0.5, site: 0, keys }), {
    name: "TypeError",
    message: /\[3, 2\] by keys \[2, 2\]/,
  });
});
