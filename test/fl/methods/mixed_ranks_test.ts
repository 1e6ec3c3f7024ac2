import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { adaptersOf } from "../../../src/federa/mod.ts";
import { f32Codec, shapesOf, simulate, type SimulationOptions } from "../../../src/fl/mod.ts";
import { disposeOwn } from "../../../src/fl/own_parameters.ts";
import { bitsOf, holds, testGpu } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { matmul } from "../../reference/matmul.ts";
import { type ClientUpload, DrivenMethod } from "../../support/driven_method.ts";
import { relativeError } from "../../support/compare.ts";
import { gaussian } from "../../support/matrices.ts";
import { methodOn } from "../../support/methods.ts";
import { Random } from "../../support/random.ts";
import { randomClients, tinyClassifier, tinyTask } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const names = ["flora", "florist", "flexlora", "raflora", "hetlora"];
const train = tinyTask({ size: 40, length: 4, seed: 1 });
const pretrained = tinyClassifier(gpu, { width: 8, inner: 7, seed: 7 });
const layer = "encoder.inner";
const ranks = [1, 4, 2];

test("simulate() of clients of different ranks gives the same bits whatever the blocks, and counts each one's own bytes", async () => {
  const cases = fc.record({
    name: fc.constantFrom(...names),
    blockSizes: fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 })),
    optimizer: fc.constantFrom<SimulationOptions["optimizer"]>(
      { name: "adamw", weightDecay: 0.1 },
      { name: "sgd", momentum: 0.5 },
    ),
    clipNorm: fc.constantFrom(undefined, 0.5),
    seed: fc.nat(),
  });
  await holds(cases, async ({ name, blockSizes, seed, ...rest }) => {
    const method = methodOn(name, { targets: [layer], ranks, alpha: 3 });
    const outcomes = [];
    for (const blockSize of blockSizes) {
      const run = simulate(pretrained, {
        ...rest,
        method,
        train,
        test: train,
        clients: randomClients(train.size, 6, seed),
        rounds: 2,
        blockSize,
        work: { steps: 2 },
        batchSize: 3,
        learningRate: 0.05,
        evaluateEvery: 0,
        seed,
      });
      for await (const event of run) {
        if (event.type === "round" && event.report.round === 1) {
          const heads: [string, number[]][] = [["head.output.weight", [3, 8]], ["head.output.bias", [3]]];
          const bytes = (rank: number) =>
            f32Codec.payloadBytes(
              new Map([...heads, [`${layer}.loraA`, [rank, 8]], [`${layer}.loraB`, [7, rank]]]),
            );
          assert.equal(
            event.report.bytesUp,
            [0, 1, 2, 3, 4, 5].reduce((sum, k) => sum + bytes(ranks[k % 3]!), 0),
          );
        }
        if (event.type !== "finished") continue;
        outcomes.push(
          await Promise.all(
            [...event.model.namedParameters()].map(async (
              [each, value],
            ) => [each, bitsOf(await value.floats())]),
          ),
        );
        disposeOwn(event.model, pretrained);
      }
    }
    assert.deepEqual(outcomes[1], outcomes[0]);
  }, 8);
});

/** Uploads of clients of their own ranks, moved at random, and what they make together in float64: Σ p_k·s_k·B_k·A_k. */
async function moved(driven: DrivenMethod, shares: readonly number[], random: Random, alpha: number) {
  const product = new Float64Array(7 * 8);
  const uploads: ClientUpload[] = [];
  for (const [k, share] of shares.entries()) {
    const rank = ranks[k % 3]!;
    const own = new Map<string, Float32Array>();
    for (const [name, { shape }] of driven.shared) {
      own.set(name, Float32Array.from(gaussian(shape, random).data));
    }
    const [a, b] = [own.get(`${layer}.loraA`)!, own.get(`${layer}.loraB`)!];
    for (let i = rank * 8; i < a.length; i++) a[i] = 0;
    for (let i = 0; i < b.length; i++) if (i % 4 >= rank) b[i] = 0;
    matmul(F64Array.fromF32([7, 4], b), F64Array.fromF32([4, 8], a)).data.forEach((value, i) =>
      product[i]! += share * (alpha / rank) * value
    );
    uploads.push(own);
  }
  return { product, uploads };
}

test("fLora and flexLora keep the exact mean of clients of different ranks, as far as their rank goes", async () => {
  const alpha = 3;
  for (const name of ["flora", "flexlora"]) {
    await holds(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.nat()), async ([count, seed]) => {
      const driven = await DrivenMethod.start(
        methodOn(name, { targets: [layer], ranks, alpha }),
        pretrained,
        count,
      );
      const before = await adaptersOf(driven.global).get(layer)!.effectiveWeight().floats();
      const start = name === "flora" ? before : await adaptersOf(driven.global).get(layer)!.weight.floats();
      // Ranks 1, or 1 and 4, together at most what the global factors of rank 4 hold; with the third they hold the best part.
      const clients = Math.min(count, name === "flexlora" ? 1 : 3);
      const shares = Array.from({ length: clients }, () => 1 / clients);
      const { product, uploads } = await moved(driven, shares, new Random(seed), alpha);
      await driven.aggregate(uploads, { shares });
      const after = await adaptersOf(driven.global).get(layer)!.effectiveWeight().floats();
      const change = Float64Array.from(after, (value, i) => value - start[i]!);
      // A dozen roundings of products of order 10, beside weights of order 1: 1e-5.
      assert.ok(relativeError(change, product) <= 1e-5, `${name}: ${relativeError(change, product)}`);
    }, 12);
  }
});

test("a client downloads and starts from the part of its own rank", async () => {
  const alpha = 3;
  for (const name of ["flexlora", "hetlora"]) {
    const driven = await DrivenMethod.start(
      methodOn(name, { targets: [layer], ranks, alpha }),
      pretrained,
      3,
    );
    const { uploads } = await moved(driven, [0.2, 0.5, 0.3], new Random(3), alpha);
    await driven.aggregate(uploads, { shares: [0.2, 0.5, 0.3] });
    const { plan } = driven;
    const global = new Map(driven.global.namedParameters());
    const [a, b] = await Promise.all(
      [`${layer}.loraA`, `${layer}.loraB`].map((each) => global.get(each)!.floats()),
    );
    for (const id of [0, 1, 2]) {
      const rank = ranks[id]!;
      const own = plan.start!({ id, numExamples: 1, lastRound: 1 });
      assert.deepEqual(shapesOf(own).get(`${layer}.loraA`), [4, 8]);
      const scale = name === "flexlora" ? Math.sqrt((alpha / 4) / (alpha / rank)) : 1;
      const [ownA, ownB] = [
        await own.get(`${layer}.loraA`)!.floats(),
        await own.get(`${layer}.loraB`)!.floats(),
      ];
      ownA.forEach((value, i) =>
        assert.ok(
          Math.abs(value - (i < rank * 8 ? scale * a![i]! : 0)) <= 1e-6 * Math.abs(a![i]!),
          `${name} A ${i}`,
        )
      );
      ownB.forEach((value, i) =>
        assert.ok(
          Math.abs(value - (i % 4 < rank ? scale * b![i]! : 0)) <= 1e-6 * Math.abs(b![i]!),
          `${name} B ${i}`,
        )
      );
      assert.equal(plan.ranks!.of(id), rank);
    }
  }
});
