import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fedSvd, ffaLora } from "../../../../src/fl/mod.ts";
import { holds, testGpu } from "../../../engine/harness.ts";
import { matmul } from "../../../reference/matmul.ts";
import { assertClose, relativeError } from "../../../support/compare.ts";
import { DrivenLayer, layer } from "../../../support/driven_layer.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";

const gpu = await testGpu();
const targets = [layer];

test("fedSvd splits the averaged B and the A before it into U·S and Vᵀ, worked by hand", async () => {
  const options = { targets, rank: 1, alpha: 4 };
  const state = await DrivenLayer.start(gpu, fedSvd(options), { out: 2, width: 2, weight: [4, 0, 0, 1] });
  const { a: { data: [a1, a2] } } = await state.values();
  const length = Math.hypot(a1!, a2!);
  // B̄ = ¾·[1 0]ᵀ + ¼·[1 4]ᵀ = [1 1]ᵀ: B̄·A = √2·‖A‖ · [1 1]ᵀ/√2 · A/‖A‖.
  await state.aggregate([{ b: [1, 0] }, { b: [1, 4] }], { shares: [0.75, 0.25] });
  const { a, b, effective } = await state.values();
  assertClose(b.data, [length, length], { absolute: 1e-6 });
  assertClose(a.data, [a1! / length, a2! / length], { absolute: 1e-6 });
  assertClose(effective.data, [4 + 4 * a1!, 4 * a2!, 4 * a1!, 1 + 4 * a2!], { absolute: 1e-5 });
});

test("fedSvd sends B up, and down both factors, to whoever missed whatever rounds", async () => {
  const state = await DrivenLayer.start(gpu, fedSvd({ targets, rank: 1 }), { out: 3, width: 2 });
  const heads = ["head.output.bias", "head.output.weight"];
  const down = (lastRound: number) =>
    [...state.driven.plan.download!({ id: 0, numExamples: 1, lastRound }).keys()].sort();
  assert.deepEqual(down(0), [`${layer}.loraB`, ...heads], "all have drawn A");
  for (let round = 1; round <= 2; round++) {
    assert.deepEqual([...state.driven.shared.keys()].sort(), [`${layer}.loraB`, ...heads]);
    await state.aggregate([{ b: [1, 2, round] }], { shares: [1] });
    for (const lastRound of [0, 1, round]) {
      assert.deepEqual(down(lastRound), [`${layer}.loraA`, `${layer}.loraB`, ...heads]);
    }
  }
});

const cases = fc.record({
  out: fc.constantFrom(3, 7, 17),
  width: fc.constantFrom(3, 8, 33),
  rank: fc.integer({ min: 1, max: 3 }),
  isShort: fc.boolean(),
  seed: fc.nat(),
});

test("fedSvd keeps A of orthonormal rows and B of orthogonal columns, and the weight that ffaLora makes in its first round", () =>
  holds(cases, async ({ out, width, rank, isShort, seed }) => {
    const options = { targets, rank, alpha: 2 * rank };
    const size = { out, width };
    const [state, plain] = await Promise.all(
      [fedSvd(options), ffaLora(options)].map((method) => DrivenLayer.start(gpu, method, size)),
    ) as [DrivenLayer, DrivenLayer];
    const random = new Random(seed);
    const shares = [0.25, 0.75];
    for (let round = 1; round <= 3; round++) {
      const start = await state.values();
      // With columns of B that are zero the product has a lower rank, and A is filled up.
      const clients = shares.map(() => ({
        b: gaussian([out, rank], random).map((value, i) => isShort && i % rank > 0 ? 0 : value).data,
      }));
      await state.aggregate(clients, { shares });
      const { a, b, frozen, effective } = await state.values();
      // Columns of lengths up to some 5, and a few dozen roundings.
      const rows = matmul(a, a, { layout: "NT" });
      assertClose(rows.data, rows.map((_, i) => i % (rank + 1) === 0 ? 1 : 0), { absolute: 1e-5 });
      const columns = matmul(b, b, { layout: "TN" });
      assertClose(columns.data, columns.map((value, i) => i % (rank + 1) === 0 ? value : 0), {
        absolute: 3e-4,
      });
      const mean = start.b.map((_, i) => shares.reduce((sum, p, k) => sum + p * clients[k]!.b[i]!, 0));
      const exact = matmul(mean, start.a).map((value, i) => frozen.data[i]! + 2 * value);
      assert.ok(relativeError(effective.data, exact.data) <= 1e-5, `round ${round}`);
      if (round > 1) continue;
      await plain.aggregate(clients, { shares });
      assert.ok(relativeError(effective.data, (await plain.values()).effective.data) <= 1e-5);
    }
  }, 15));
