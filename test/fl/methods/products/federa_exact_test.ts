import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { clone, Tensor, tensor, tidy } from "../../../../src/engine/mod.ts";
import { adaptersOf } from "../../../../src/federa/mod.ts";
import { feDeRaExact } from "../../../../src/fl/mod.ts";
import { bitsOf, holds, testGpu } from "../../../engine/harness.ts";
import { F64Array } from "../../../reference/array.ts";
import { matmul as matmulF64 } from "../../../reference/matmul.ts";
import { type ClientUpload, DrivenMethod } from "../../../support/driven_method.ts";
import { relativeError } from "../../../support/compare.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";
import { tinyClassifier } from "../../../support/tiny_encoder.ts";

const gpu = await testGpu();
const layer = "encoder.inner";

function start(width: number, rank: number): Promise<DrivenMethod> {
  const method = feDeRaExact({ targets: [layer], rank, alpha: 3, svd: "exact" });
  return DrivenMethod.start(method, tinyClassifier(gpu, { width, inner: width }));
}

/** One round of clients that move every parameter at random; gives their values on the host. */
async function round(driven: DrivenMethod, shares: readonly number[], blockSize: number, random: Random) {
  const clients: Map<string, F64Array>[] = [];
  for (const _ of shares) {
    const own = new Map<string, F64Array>();
    for (const [name, value] of driven.shared) {
      const start = await value.floats();
      const moved = gaussian(value.shape, random).map((noise, i) => start[i]! + 0.3 * noise);
      own.set(name, F64Array.fromF32(value.shape, moved.data));
    }
    clients.push(own);
  }
  const uploads = clients.map((own): ClientUpload =>
    new Map([...own].map(([name, { data }]) => [name, data]))
  );
  await driven.aggregate(uploads, { shares, blockSize });
  return clients;
}

const federations = fc.record({
  width: fc.constantFrom(2, 3, 8, 17),
  counts: fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 8 }),
  rank: fc.integer({ min: 1, max: 2 }),
  blockSize: fc.integer({ min: 1, max: 8 }),
  seed: fc.nat(),
});

// Weights of order 1 and updates of the same order: the product, the correction of K·r terms and the sum round some
// 2·K·r + 10 < 50 times, 3e-6 in the worst case.
test("feDeRaExact makes the global weight the mean of the clients' effective weights, round after round", async () => {
  await holds(federations, async ({ width, counts, rank, blockSize, seed }) => {
    const state = await start(width, rank);
    const random = new Random(seed);
    const total = counts.reduce((sum, count) => sum + count, 0);
    const shares = counts.map((count) => count / total);
    for (let t = 0; t < 2; t++) {
      const adapter = adaptersOf(state.global).get(layer)!;
      const [residual, { sharedScaling }] = [await adapter.weight.floats(), adapter];
      const clients = await round(state, shares, blockSize, random);
      const mean = Float64Array.from(residual);
      clients.forEach((own, k) => {
        const product = matmulF64(own.get(`${layer}.loraB`)!, own.get(`${layer}.loraA`)!);
        product.data.forEach((value, i) => mean[i]! += shares[k]! * sharedScaling * value);
      });
      const found = tidy(() => adaptersOf(state.global).get(layer)!.effectiveWeight());
      const error = relativeError(await found.floats(), mean);
      assert.ok(error <= 1e-5, `round ${t}: error ${error}`);
    }
  }, 25);
});

test("feDeRaExact gives the same bits whatever the blocks", async () => {
  await holds(federations, async ({ width, counts, rank, blockSize, seed }) => {
    const total = counts.reduce((sum, count) => sum + count, 0);
    const shares = counts.map((count) => count / total);
    const bits = async (size: number) => {
      const state = await start(width, rank);
      await round(state, shares, size, new Random(seed));
      return Promise.all(
        [...state.global.namedParameters()].map(async ([, each]) => bitsOf(await each.floats())),
      );
    };
    assert.deepEqual(await bits(blockSize), await bits(1));
  }, 15);
});

test("feDeRaExact's corrections bring a client that missed any rounds to the server's residual, bit for bit", async () => {
  const shares = [0.5, 0.5];
  // 2 clients of rank 1 make corrections of 2·(32 + 32) = 128 values a round, so seven rounds are below the 1024 of the layer.
  const state = await start(32, 1);
  const weightOf = () => adaptersOf(state.global).get(layer)!.weight;
  const history = [clone(weightOf())];
  const random = new Random(1);
  for (let t = 1; t <= 9; t++) {
    await round(state, shares, 1, random);
    history.push(clone(weightOf()));
    for (let last = 0; last <= t; last++) {
      const payload = state.plan.download!({ id: 0, numExamples: 1, lastRound: last });
      // A client of round q has the residual from before the correction of round q.
      const known = Math.max(1, last);
      const isWhole = payload.has(`${layer}.weight`);
      assert.equal(isWhole, (t - known + 1) * 128 >= 1024, `round ${t}, last seen in ${last}`);
      const mine = new Map(state.global.namedParameters()).set(`${layer}.weight`, history[known - 1]!);
      const received = new Map(
        [...payload].map(([name, each]) => [
          name,
          each instanceof Tensor ? each : tensor(gpu, each.data, { shape: each.shape }),
        ]),
      );
      const after = state.method.receive!(mine, received, { round: t + 1, seed: 1 }).get(`${layer}.weight`)!;
      assert.deepEqual(
        bitsOf(await after.floats()),
        bitsOf(await weightOf().floats()),
        `round ${t}, last seen in ${last}`,
      );
    }
  }
});

test("feDeRaExact holds the same GPU bytes after every round", async () => {
  const state = await start(32, 1);
  const random = new Random(2);
  const live: number[] = [];
  for (let t = 1; t <= 9; t++) {
    await round(state, [0.5, 0.5], 1, random);
    live.push(gpu.stats().liveBytes);
  }
  assert.deepEqual(live, live.map(() => live[0]));
});
