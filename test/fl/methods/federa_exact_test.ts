import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { add, assign, clone, disposeAll, matmul, Tensor, tensor, tidy } from "../../../src/engine/mod.ts";
import { adaptersOf } from "../../../src/federa/mod.ts";
import {
  feDeRaExact,
  type FederatedMethod,
  type HostTensor,
  type ServerState,
  trainableParameters,
} from "../../../src/fl/mod.ts";
import { bitsOf, holds, testGpu, upload } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { matmul as matmulF64 } from "../../reference/matmul.ts";
import { relativeError } from "../../support/compare.ts";
import { gaussian } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";
import { tinyClassifier } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const method = feDeRaExact as FederatedMethod;
const layer = "encoder.inner";

function start(width: number, rank: number): Promise<ServerState> {
  const pretrained = tinyClassifier(gpu, { width, inner: width });
  return method.init(pretrained, { targets: [layer], rank, alpha: 3, svd: "exact", seed: 1 });
}

/** One round of clients that move every parameter at random; gives their values on the host. */
async function round(state: ServerState, shares: readonly number[], cohortSize: number, random: Random) {
  const global = trainableParameters(state.model, method.trainable);
  const clients = [];
  for (const _ of shares) {
    const own = new Map<string, F64Array>();
    for (const [name, value] of global) {
      const start = await value.floats();
      const moved = gaussian(value.shape, random).map((noise, i) => start[i]! + 0.3 * noise);
      own.set(name, F64Array.fromF32(value.shape, moved.data));
    }
    clients.push(own);
  }
  const aggregation = method.aggregate(state);
  for (let from = 0; from < shares.length; from += cohortSize) {
    const members = clients.slice(from, from + cohortSize);
    const values = new Map<string, Tensor>();
    for (const [name, { shape }] of global) {
      const stacked = members.flatMap((own) => [...own.get(name)!.data]);
      values.set(name, upload(gpu, F64Array.from([members.length, ...shape], stacked)));
    }
    const weights = tensor(gpu, shares.slice(from, from + cohortSize));
    aggregation.add({ values, weights });
    disposeAll([...values.values(), weights]);
  }
  await aggregation.finish();
  aggregation.dispose();
  return clients;
}

const federations = fc.record({
  width: fc.constantFrom(2, 3, 8, 17),
  counts: fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 8 }),
  rank: fc.integer({ min: 1, max: 2 }),
  cohortSize: fc.integer({ min: 1, max: 8 }),
  seed: fc.nat(),
});

// Weights of order 1 and updates of the same order: the product, the correction of K·r terms and the sum round some
// 2·K·r + 10 < 50 times, 3e-6 in the worst case.
test("feDeRaExact makes the global weight the mean of the clients' effective weights, round after round", async () => {
  await holds(federations, async ({ width, counts, rank, cohortSize, seed }) => {
    const state = await start(width, rank);
    const random = new Random(seed);
    const total = counts.reduce((sum, count) => sum + count, 0);
    const shares = counts.map((count) => count / total);
    for (let t = 0; t < 2; t++) {
      const adapter = adaptersOf(state.model).get(layer)!;
      const residual = await adapter.weight.floats();
      const clients = await round(state, shares, cohortSize, random);
      const mean = Float64Array.from(residual);
      clients.forEach((own, k) => {
        const product = matmulF64(own.get(`${layer}.loraB`)!, own.get(`${layer}.loraA`)!);
        product.data.forEach((value, i) => mean[i]! += shares[k]! * adapter.sharedScaling * value);
      });
      const found = tidy(() => adapter.effectiveWeight());
      const error = relativeError(await found.floats(), mean);
      assert.ok(error <= 1e-5, `round ${t}: error ${error}`);
    }
  }, 25);
});

test("feDeRaExact gives the same bits whatever the cohorts", async () => {
  await holds(federations, async ({ width, counts, rank, cohortSize, seed }) => {
    const total = counts.reduce((sum, count) => sum + count, 0);
    const shares = counts.map((count) => count / total);
    const bits = async (size: number) => {
      const state = await start(width, rank);
      await round(state, shares, size, new Random(seed));
      return Promise.all(
        [...state.model.namedParameters()].map(async ([, each]) => bitsOf(await each.floats())),
      );
    };
    assert.deepEqual(await bits(cohortSize), await bits(1));
  }, 15);
});

test("feDeRaExact's corrections bring a client that missed any rounds to the server's residual, bit for bit", async () => {
  const shares = [0.5, 0.5];
  // 2 clients of rank 1 make corrections of 2·(32 + 32) = 128 values a round, so seven rounds are below the 1024 of the layer.
  const state = await start(32, 1);
  const adapter = adaptersOf(state.model).get(layer)!;
  const history = [clone(adapter.weight)];
  const random = new Random(1);
  for (let t = 1; t <= 9; t++) {
    await round(state, shares, 1, random);
    history.push(clone(adapter.weight));
    for (let last = 0; last <= t; last++) {
      const payload = method.broadcast(state, last);
      const whole = payload.get(`${layer}.weight`);
      // A client of round q has the residual from before the correction of round q.
      const known = Math.max(1, last);
      assert.equal(whole !== undefined, (t - known + 1) * 128 >= 1024, `round ${t}, last seen in ${last}`);
      const mine = whole instanceof Tensor ? whole : clone(history[known - 1]!);
      for (let q = known; whole === undefined && q <= t; q++) {
        const part = (name: string) => {
          const { shape, data } = payload.get(`${layer}.correction.${q}.${name}`)! as HostTensor;
          return tensor(gpu, data, { shape });
        };
        const [a, b] = [part("a"), part("b")];
        tidy(() => assign(mine, add(mine, matmul(b, a))));
      }
      assert.deepEqual(
        bitsOf(await mine.floats()),
        bitsOf(await adapter.weight.floats()),
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
