import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Tensor } from "../../../../src/engine/mod.ts";
import { fedMomentum, fLora, florist, type HostTensor } from "../../../../src/fl/mod.ts";
import { energyRank } from "../../../../src/fl/methods/parts/adapters/triplets.ts";
import { holds, testGpu } from "../../../engine/harness.ts";
import { F64Array } from "../../../reference/array.ts";
import { matmul } from "../../../reference/matmul.ts";
import { jacobiSvd } from "../../../reference/svd.ts";
import { assertClose, relativeError } from "../../../support/compare.ts";
import { DrivenLayer, layer } from "../../../support/driven_layer.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";

const gpu = await testGpu();
const targets = [layer];
const size = { out: 2, width: 2, weight: [4, 0, 0, 1] };
const options = { targets, rank: 1, alpha: 4 };
// s = 4 and Σ p·B·A = [2 1; 5 1] = M, of which 99.05 % of the energy is in the first triplet: σ₁² = (31 + √925)/2 of 31.
const shares = [0.75, 0.25];
const clients = [{ a: [1, 1], b: [1, 0] }, { a: [5, 1], b: [1, 4] }];
const sigma = Math.sqrt((31 + Math.sqrt(925)) / 2);
/** The leading triplet of M as a matrix: M·v·vᵀ, v by (29 − σ²)·v₁ + 7·v₂ = 0 of MᵀM = [29 7; 7 2]. */
const best = (() => {
  const [v1, v2] = [7, sigma ** 2 - 29].map((each) => each / Math.hypot(7, sigma ** 2 - 29)) as [
    number,
    number,
  ];
  const [x, y] = [2 * v1 + v2, 5 * v1 + v2];
  return [x * v1, x * v2, y * v1, y * v2];
})();
const whole = [2, 1, 5, 1];
const pretrained = [4, 0, 0, 1];
const near = { absolute: 2e-5 };

/** What a client that took part in a round downloads, by name, and its shape. */
function download({ driven }: DrivenLayer, lastRound: number): Map<string, readonly number[]> {
  const payload = driven.plan.download!({ id: 0, numExamples: 1, lastRound }) as ReadonlyMap<
    string,
    Tensor | HostTensor
  >;
  return new Map(
    [...payload].filter(([name]) => !name.startsWith("head")).map(([name, { shape }]) => [
      name.slice(layer.length + 1),
      shape,
    ]),
  );
}

test("fedMomentum goes on from the leading triplet and merges s times the rest, worked by hand", async () => {
  const state = await DrivenLayer.start(gpu, fedMomentum(options), size);
  await state.aggregate(clients, { shares });
  const { a, b, frozen, effective } = await state.values();
  assertClose(effective.data, pretrained.map((value, i) => value + 4 * whole[i]!), near);
  assertClose(frozen.data, pretrained.map((value, i) => value + 4 * (whole[i]! - best[i]!)), near);
  // √S goes to both: B·A = best, σ₁ in length.
  assertClose(matmul(b, a).data, best, near);
  assertClose([Math.hypot(...a.data), Math.hypot(...b.data)], [Math.sqrt(sigma), Math.sqrt(sigma)], near);
});

test("fedMomentum drops what is beyond its share of the energy, and then sends factors alone", async () => {
  const state = await DrivenLayer.start(gpu, fedMomentum({ ...options, energy: 0.99 }), size);
  await state.aggregate(clients, { shares });
  const { frozen, effective } = await state.values();
  assert.deepEqual([...frozen.data], pretrained);
  assertClose(effective.data, pretrained.map((value, i) => value + 4 * best[i]!), near);
  assert.deepEqual([...download(state, 1).keys()].sort(), ["loraA", "loraB"]);
});

test("fedMomentum sends the factors, and what was merged since the client was there", async () => {
  const state = await DrivenLayer.start(gpu, fedMomentum({ targets, rank: 1, alpha: 2, energy: 1 }), {
    out: 8,
    width: 9,
  });
  const random = new Random(3);
  for (let round = 1; round <= 3; round++) {
    const some = [0, 1, 2].map(() => ({
      a: gaussian([1, 9], random).data,
      b: gaussian([8, 1], random).data,
    }));
    await state.aggregate(some, { shares: [0.25, 0.5, 0.25] });
    // Three clients of rank 1: two triplets after the first.
    const own: [string, number[]][] = [["loraA", [1, 9]], ["loraB", [8, 1]]];
    const merged = (from: number) =>
      Array.from({ length: round - from + 1 }, (_, i): [string, number[]][] => [
        [`correction.${from + i}.a`, [2, 9]],
        [`correction.${from + i}.b`, [8, 2]],
      ]).flat();
    // Of 2·17 values each; two rounds are under the 72 of the weight.
    const expected = round < 3 ? merged(1) : [["weight", [8, 9]]] as [string, number[]][];
    assert.deepEqual(download(state, 0), new Map([...own, ...expected]));
    assert.deepEqual(download(state, round), new Map([...own, ...merged(round)]));
  }
});

test("florist merges as many triplets as hold its share of the energy, and begins anew, worked by hand", async () => {
  for (const [energy, merged, q] of [[0.99, best, 1], [1, whole, 2]] as const) {
    const method = florist({ ...options, energy });
    const state = await DrivenLayer.start(gpu, method, { ...size, out: 2, width: 2 });
    await state.aggregate(clients, { shares });
    const { b, frozen } = await state.values();
    assertClose(frozen.data, pretrained.map((value, i) => value + 4 * merged[i]!), near);
    assert.deepEqual([...b.data], [0, 0]);
    // Factors of q·(2 + 2) values, but the weight where that isn't more.
    assert.deepEqual(download(state, 1), new Map([["weight", [2, 2]]]), `${q}`);
  }
  const big = await DrivenLayer.start(gpu, florist(options), { out: 8, width: 9 });
  const stacked = await DrivenLayer.start(gpu, fLora(options), { out: 8, width: 9 });
  const one = { a: new Float32Array(9).fill(1), b: new Float32Array(8).fill(1) };
  for (const state of [big, stacked]) await state.aggregate([one, one, one], { shares: [0.5, 0.25, 0.25] });
  // Three equal clients: FLoRA's stack has three terms, and one says it all.
  const terms = (k: number) => new Map([["correction.1.a", [k, 9]], ["correction.1.b", [8, k]]]);
  assert.deepEqual(download(big, 1), terms(1));
  assert.deepEqual(download(stacked, 1), terms(3));
});

const cases = fc.record({
  out: fc.constantFrom(3, 7, 17),
  width: fc.constantFrom(3, 8, 33),
  rank: fc.integer({ min: 1, max: 3 }),
  count: fc.integer({ min: 1, max: 5 }),
  energy: fc.constantFrom(0.5, 0.9, 0.99, 1),
  seed: fc.nat(),
});

test("fedMomentum and florist keep the best approximation that holds the energy, beside a float64 SVD of the whole matrix", () =>
  holds(cases, async ({ out, width, rank, count, energy, seed }) => {
    const random = new Random(seed);
    const uploads = Array.from({ length: count }, () => ({
      a: gaussian([rank, width], random),
      b: gaussian([out, rank], random),
    }));
    const weights = uploads.map((_, k) => (k + 1) / (count * (count + 1) / 2));
    const scaling = 0.5;
    const exact = F64Array.full([out, width]);
    uploads.forEach(({ a, b }, k) =>
      matmul(b, a).data.forEach((value, i) => exact.data[i]! += scaling * weights[k]! * value)
    );
    const { u, s, v } = jacobiSvd(exact);
    const terms = s.length;
    const total = s.reduce((sum, value) => sum + value ** 2, 0);
    const kept = (least: number) => {
      let [sum, q] = [0, 0];
      while (q < s.length && (q < least || sum < energy * total * (1 - 1e-9))) sum += s[q++]! ** 2;
      return exact.map((_, i) => {
        const [row, column] = [Math.floor(i / width), i % width];
        return s.slice(0, q).reduce(
          (value, each, j) => value + each * u.data[row * terms + j]! * v.data[column * terms + j]!,
          0,
        );
      });
    };
    for (const [make, least] of [[fedMomentum, rank], [florist, 0]] as const) {
      const state = await DrivenLayer.start(gpu, make({ targets, rank, alpha: scaling * rank, energy }), {
        out,
        width,
      });
      const before = await state.values();
      await state.aggregate(uploads.map(({ a, b }) => ({ a: a.data, b: b.data })), { shares: weights });
      const { effective } = await state.values();
      const change = effective.data.map((value, i) => value - before.effective.data[i]!);
      // Some 30 roundings beside weights of order 1.
      const error = relativeError(change, kept(least).data);
      assert.ok(error <= 2e-5, `${make.definition.name}: ${error}`);
    }
  }, 15));

test("energyRank() is the least number of leading values that hold a share of the energy", () => {
  // 9, 4 and 1 of 14.
  const values = [3, 2, 1];
  for (const [share, count] of [[0.5, 1], [9 / 14, 1], [0.65, 2], [13 / 14, 2], [0.93, 3], [1, 3]] as const) {
    assert.equal(energyRank(values, share), count, `${share}`);
  }
  assert.equal(energyRank([3, 0, 0], 1), 1);
  assert.equal(energyRank([0, 0], 1), 0);
});
