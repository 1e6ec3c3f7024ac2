import assert from "node:assert/strict";
import { test } from "node:test";
import { tensor, zeros } from "../../../../src/engine/mod.ts";
import { hetLora, type Local, type Tensors } from "../../../../src/fl/mod.ts";
import { tailPenalty } from "../../../../src/fl/methods/parts/local/rank_pruning.ts";
import { testGpu } from "../../../engine/harness.ts";
import { assertClose } from "../../../support/compare.ts";
import { DrivenLayer, layer } from "../../../support/driven_layer.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";

const gpu = await testGpu();
const targets = [layer];

test("hetLora drops the tail of a client in which it shrank, for good, worked by hand", async () => {
  const method = hetLora({ targets, rank: 2, alpha: 2, gamma: 0.5, lambda: 0 });
  const state = await DrivenLayer.start(gpu, method, { out: 2, width: 2, weight: [4, 0, 0, 1] });
  const identity = [1, 0, 0, 1];
  const rankOf = (client: number) => state.driven.plan.ranks!.of(client);
  // B begins at zero: nothing can shrink.
  await state.aggregate([{ a: identity, b: [2, 0, 0, 3] }], { shares: [1] });
  assert.deepEqual([rankOf(0), rankOf(1)], [2, 2]);
  // Tails of ‖B_t‖·‖A_t‖ = 3 at the start: 1 of the first client, 4 of the second.
  const clients = [{ a: identity, b: [4, 0, 0, 1] }, { a: identity, b: [0, 0, 0, 4] }];
  await state.aggregate(clients, { shares: [0.9, 0.1] });
  assert.deepEqual([rankOf(0), rankOf(1), rankOf(2)], [1, 2, 2]);
  // What is left of the first is 4·e₁·e₁ᵀ, as large as 4·e₂·e₂ᵀ: weights of ½.
  const { a, b } = await state.values();
  assertClose(a.data, [1, 0, 0, 0.5], { absolute: 1e-6 });
  assertClose(b.data, [2, 0, 0, 2], { absolute: 1e-6 });
  const start = state.driven.plan.start!({ id: 0, numExamples: 1, lastRound: 2 });
  assertClose(await start.get(`${layer}.loraA`)!.floats(), [1, 0, 0, 0], { absolute: 1e-6 });
  assertClose(await start.get(`${layer}.loraB`)!.floats(), [2, 0, 0, 0], { absolute: 1e-6 });
  for (const each of start.values()) each.dispose();
  // A rank of 1 stays, whatever shrinks.
  await state.aggregate([{ a: [1, 0, 0, 0], b: [0.1, 0, 0, 0] }], { shares: [1] });
  assert.deepEqual([rankOf(0), rankOf(1)], [1, 2]);
});

test("hetLora without pruning keeps no ranks and adds nothing to the loss", async () => {
  const state = await DrivenLayer.start(gpu, hetLora({ targets, rank: 2 }), { out: 3, width: 4 });
  assert.equal(state.driven.plan.local, undefined);
  assert.deepEqual(Object.keys(state.driven.state as Record<string, unknown>), ["global"]);
  assert.throws(() => hetLora({ targets, gamma: 0.5, rankPattern: { [layer]: 2 } }), {
    name: "RangeError",
    message: /Cannot use ranks beside rankPattern/,
  });
});

test("tailPenalty() adds the gradient of λ·Σ ‖B_t‖·‖A_t‖ for each client's own rank, as differences of float64 have it", async () => {
  const [rank, width, out, lambda, gamma] = [4, 3, 2, 0.7, 0.5];
  const ranks = [4, 3, 1];
  const random = new Random(6);
  const a = gaussian([3, rank, width], random).data;
  const b = gaussian([3, out, rank], random).data;
  /** One client's tail is zero in B. */
  for (let i = 0; i < out; i++) for (let j = 1; j < rank; j++) b[rank * out + i * rank + j] = 0;
  const penalty = (a: Float64Array, b: Float64Array) =>
    lambda * ranks.reduce((sum, own, k) => {
      const from = Math.max(1, Math.floor(gamma * own));
      const rows = a.filter((_, i) => {
        const [client, row] = [Math.floor(i / (rank * width)), Math.floor(i / width) % rank];
        return client === k && row >= from && row < own;
      });
      const columns = b.filter((_, i) =>
        Math.floor(i / (rank * out)) === k && i % rank >= from && i % rank < own
      );
      return sum + Math.hypot(...rows) * Math.hypot(...columns);
    }, 0);
  const values: Tensors = new Map([
    [`${layer}.loraA`, tensor(gpu, Float32Array.from(a), { shape: [3, rank, width] })],
    [`${layer}.loraB`, tensor(gpu, Float32Array.from(b), { shape: [3, out, rank] })],
  ]);
  const gradients: Tensors = new Map(
    [...values].map(([name, { shape }]) => [name, zeros(gpu, shape)]),
  );
  const local = {
    clients: ranks.map((_, id) => ({ id, numExamples: 1, lastRound: 0 })),
    ranks: { of: (id: number) => ranks[id]!, scaling: () => 1 },
  } as unknown as Local;
  tailPenalty({ gamma, lambda }).correct!(gradients, values, local);
  const step = 1e-6;
  const slope = (x: Float64Array, of: () => number) =>
    x.map((value, i) => {
      const at = (moved: number) => {
        x[i] = moved;
        return of();
      };
      const difference = (at(value + step) - at(value - step)) / (2 * step);
      x[i] = value;
      return difference;
    });
  const [foundA, foundB] = await Promise.all([...gradients.values()].map((each) => each.floats()));
  assertClose(foundA!, slope(a, () => penalty(a, b)), { absolute: 1e-5 });
  // ‖B_t‖ has a kink at 0, whose middle is 0.
  assertClose(foundB!, slope(b, () => penalty(a, b)), { absolute: 1e-5 });
});
