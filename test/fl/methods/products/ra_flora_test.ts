import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { flexLora, raFLora } from "../../../../src/fl/mod.ts";
import { bitsOf, holds, testGpu } from "../../../engine/harness.ts";
import { F64Array } from "../../../reference/array.ts";
import { assertClose, relativeError } from "../../../support/compare.ts";
import { DrivenLayer, layer } from "../../../support/driven_layer.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";

const gpu = await testGpu();
const targets = [layer];

test("raFLora averages a term over the clients that have it, where flexLora lets it fade, worked by hand", async () => {
  const options = { targets, ranks: [1, 2], alpha: 2 };
  const size = { out: 2, width: 2, weight: [4, 0, 0, 1] };
  // s₁ = 2, s₂ = 1: e₁ gets ¾·2·2 + ¼·6 = 4.5; e₂ gets 3 of the second client alone, of which ¼ is left in FlexLoRA.
  const clients = [{ a: [1, 0, 0, 0], b: [2, 0, 0, 0] }, { a: [1, 0, 0, 1], b: [6, 0, 0, 3] }];
  const shares = [0.75, 0.25];
  const [own, flex] = await Promise.all([raFLora(options), flexLora(options)].map(async (method) => {
    const state = await DrivenLayer.start(gpu, method, size);
    await state.aggregate(clients, { shares });
    return state;
  })) as [DrivenLayer, DrivenLayer];
  assertClose((await own.values()).effective.data, [8.5, 0, 0, 4], { absolute: 1e-5 });
  assertClose((await flex.values()).effective.data, [8.5, 0, 0, 1.75], { absolute: 1e-5 });
  // A round of the first client alone: e₁ gets 2·5, and nobody has the second term, which stays 3.
  for (const state of [own, flex]) {
    await state.aggregate([{ a: [1, 0, 0, 0], b: [5, 0, 0, 0] }], { shares: [1] });
  }
  assertClose((await own.values()).effective.data, [14, 0, 0, 4], { absolute: 1e-5 });
  assertClose((await flex.values()).effective.data, [14, 0, 0, 1], { absolute: 1e-5 });
});

test("raFLora of clients of one rank is flexLora, bit for bit", async () => {
  const random = new Random(4);
  const clients = [0, 1].map(() => ({ a: gaussian([2, 4], random).data, b: gaussian([3, 2], random).data }));
  const bits = await Promise.all([raFLora, flexLora].map(async (make) => {
    const state = await DrivenLayer.start(gpu, make({ targets, rank: 2, alpha: 3 }), { out: 3, width: 4 });
    await state.aggregate(clients, { shares: [0.25, 0.75] });
    return bitsOf((await state.values()).effective.toF32());
  }));
  assert.deepEqual(bits[0], bits[1]);
});

const cases = fc.record({
  ranks: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 }),
  count: fc.integer({ min: 1, max: 6 }),
  width: fc.constantFrom(3, 8, 17),
  seed: fc.nat(),
});

// The weight has 3 rows: a global rank of 3 holds any change.
test("raFLora is Σ_j Σ_k p_k/P_j·s_k·b_kj·a_kj in float64, whatever the ranks", () =>
  holds(cases, async ({ ranks: some, count, width, seed }) => {
    const [out, largest, alpha] = [3, 3, 2];
    const ranks = [3, ...some];
    const random = new Random(seed);
    const of = (k: number) => ranks[k % ranks.length]!;
    const shares = Array.from({ length: count }, (_, k) => (k + 1) / (count * (count + 1) / 2));
    const uploads = shares.map((_, k) => {
      const a = gaussian([largest, width], random).map((value, i) =>
        Math.floor(i / width) < of(k) ? value : 0
      );
      const b = gaussian([out, largest], random).map((value, i) => i % largest < of(k) ? value : 0);
      return { a, b };
    });
    const wanted = F64Array.full([out, width]);
    for (let j = 0; j < largest; j++) {
      const owners = shares.map((_, k) => k).filter((k) => of(k) > j);
      const total = owners.reduce((sum, k) => sum + shares[k]!, 0);
      for (const k of owners) {
        wanted.data.forEach((_, i) => {
          const [row, column] = [Math.floor(i / width), i % width];
          const { a, b } = uploads[k]!;
          wanted.data[i]! += shares[k]! / total * alpha / of(k) * b.data[row * largest + j]! *
            a.data[j * width + column]!;
        });
      }
    }
    const state = await DrivenLayer.start(gpu, raFLora({ targets, ranks, alpha }), { out, width });
    const before = await state.values();
    await state.aggregate(uploads.map(({ a, b }) => ({ a: a.data, b: b.data })), { shares });
    const { effective } = await state.values();
    const change = effective.data.map((value, i) => value - before.effective.data[i]!);
    // Some 30 roundings of terms of order 1 to 10.
    assert.ok(relativeError(change, wanted.data) <= 2e-5, `${relativeError(change, wanted.data)}`);
  }, 15));
