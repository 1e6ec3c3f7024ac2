import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fedIt, loraFair } from "../../../../src/fl/mod.ts";
import { bitsOf, holds, testGpu } from "../../../engine/harness.ts";
import { F64Array } from "../../../reference/array.ts";
import { matmul } from "../../../reference/matmul.ts";
import { DrivenLayer, layer } from "../../../support/driven_layer.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";

const gpu = await testGpu();
const targets = [layer];
const shares = [0.75, 0.25];
// Ā = [2 1], B̄ = [1 1]ᵀ, Σ p·B·A = [2 1; 5 1] = M.
const clients = [{ a: [1, 1], b: [1, 0] }, { a: [5, 1], b: [1, 4] }];

async function played(lambda: number) {
  const method = loraFair({ targets, rank: 1, alpha: 4, lambda });
  const state = await DrivenLayer.start(gpu, method, { out: 2, width: 2, weight: [4, 0, 0, 1] });
  await state.aggregate(clients, { shares });
  return await state.values();
}

test("loraFair with λ = 0 turns B̄ to M·Āᵀ = [5 11]ᵀ, which has the largest cosine (weights of ½ would give [7 22]ᵀ), and leaves Ā", async () => {
  const { a, b } = await played(0);
  assert.deepEqual([...a.data], [2, 1]);
  assert.ok(Math.abs(b.data[1]! / b.data[0]! - 11 / 5) <= 1e-4, `${b.data}`);
});

test("loraFair leaves B̄ alone where λ is over the slope 0.2410 there, worked by hand, and not below", async () => {
  // cos = ⟨M·Āᵀ, B̄⟩/(‖M‖·‖B̄·Ā‖) = 16/√310; its slope is M·Āᵀ/√310 − cos·(Ā·Āᵀ)·B̄/10 = [−0.1704 0.1704]ᵀ.
  assert.deepEqual([...(await played(0.25)).b.data], [1, 1]);
  const { b } = await played(0.23);
  // Along the slope.
  assert.ok(b.data[0]! < 1 - 1e-3 && b.data[1]! > 1 + 1e-3, `${b.data}`);
});

/** 1 − cos(M, B·Ā) + λ·‖B − B̄‖, in float64 and by whole matrices. */
function objective(
  b: F64Array,
  { mean, a, exact, lambda }: { mean: F64Array; a: F64Array; exact: F64Array; lambda: number },
): number {
  const product = matmul(b, a);
  const dot = product.data.reduce((sum, value, i) => sum + value * exact.data[i]!, 0);
  const cosine = dot / (Math.hypot(...product.data) * Math.hypot(...exact.data));
  return 1 - cosine + lambda * Math.hypot(...b.data.map((value, i) => value - mean.data[i]!));
}

const cases = fc.record({
  out: fc.constantFrom(2, 7, 17),
  width: fc.constantFrom(3, 8, 33),
  rank: fc.integer({ min: 1, max: 2 }),
  count: fc.integer({ min: 2, max: 5 }),
  lambda: fc.constantFrom(0, 0.003, 0.03),
  spread: fc.constantFrom(0.1, 1),
  seed: fc.nat(),
});

test("loraFair finds a minimum: no B near it is better, and B̄ is worse unless it is that", () =>
  holds(cases, async ({ out, width, rank, count, lambda, spread, seed }) => {
    const random = new Random(seed);
    const around = (shape: readonly number[]) => {
      const middle = gaussian(shape, random);
      return () => F64Array.fromF32(shape, middle.map((value) => value + spread * random.normal()).data);
    };
    const [drawA, drawB] = [around([rank, width]), around([out, rank])];
    const uploads = Array.from({ length: count }, () => ({ a: drawA(), b: drawB() }));
    const weights = uploads.map(() => 1 / count);
    const state = await DrivenLayer.start(gpu, loraFair({ targets, rank, alpha: 1, lambda }), { out, width });
    await state.aggregate(uploads.map(({ a, b }) => ({ a: a.data, b: b.data })), { shares: weights });
    const { a, b } = await state.values();
    const average = (values: readonly F64Array[]) =>
      values[0]!.map((_, i) => values.reduce((sum, { data }) => sum + data[i]! / count, 0));
    const mean = average(uploads.map((each) => each.b));
    const problem = { mean, a, exact: average(uploads.map((each) => matmul(each.b, each.a))), lambda };
    const best = objective(b, problem);
    // f32 leaves 1e-6 of B, at which a minimum is flat but for the kink at B̄ of slope λ.
    assert.ok(best <= objective(mean, problem) + 1e-6);
    for (let i = 0; i < 40; i++) {
      const size = 10 ** -(1 + i % 3);
      const near = b.map((value) => value + size * random.normal());
      assert.ok(objective(near, problem) >= best - 1e-6, `${objective(near, problem)} < ${best}`);
    }
  }, 25));

test("loraFair of one client, or of clients that agree, is fedIt bit for bit; of updates that cancel it is its mean", async () => {
  const options = { targets, rank: 2, alpha: 3 };
  const random = new Random(3);
  const one = { a: gaussian([2, 4], random).data, b: gaussian([3, 2], random).data };
  const opposite = { a: one.a, b: one.b.map((value) => -value) };
  for (const clients of [[one], [one, one], [one, opposite]]) {
    const bits = await Promise.all([loraFair(options), fedIt(options)].map(async (method) => {
      const state = await DrivenLayer.start(gpu, method, { out: 3, width: 4 });
      await state.aggregate(clients, { shares: clients.map(() => 1 / clients.length) });
      return bitsOf((await state.values()).effective.toF32());
    }));
    assert.deepEqual(bits[0], bits[1]);
  }
});
