import assert from "node:assert/strict";
import { test } from "node:test";
import { aggregationError, disposeOwn, simulate } from "../../../src/fl/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { methodOn } from "../../support/methods.ts";
import { randomClients, tinyClassifier, tinyTask } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const train = tinyTask({ size: 40, length: 4, seed: 1 });

/** The errors of rounds 2 and 3 of some clients, in layers of ranks 2 and 1 and of scales of their own. */
async function errors(name: string, options: Record<string, unknown> = {}) {
  const pretrained = tinyClassifier(gpu, { width: 6, inner: 5, seed: 7 });
  const method = methodOn(name, {
    targets: ["encoder.inner", "encoder.outer"],
    rank: 2,
    alpha: 3,
    rankPattern: { "encoder.outer": 1 },
    alphaPattern: { "encoder.outer": 5 },
    svd: "exact",
    ...options,
  });
  const found: { aggregationError: number | null; appliedError: number | null }[] = [];
  const run = simulate(pretrained, {
    method,
    train,
    test: train,
    clients: randomClients(train.size, 5, 1),
    rounds: 3,
    clientsPerRound: 3,
    blockSize: 2,
    work: { steps: 3 },
    batchSize: 4,
    optimizer: { name: "adamw" },
    learningRate: 0.05,
    seed: 3,
    evaluateEvery: 0,
    measures: [aggregationError],
  });
  for await (const event of run) {
    if (event.type === "round") {
      const { aggregationError, appliedError } = event.report.measures;
      found.push({ aggregationError: aggregationError!, appliedError: appliedError! });
    }
    if (event.type === "finished") disposeOwn(event.model, pretrained);
  }
  return found.slice(1);
}

test("the error of aggregation is zero where one factor is trained, and the applied one where the mean is exact", async () => {
  for (const name of ["federa-ro", "fedsvd"]) {
    for (const each of await errors(name)) {
      assert.equal(each.aggregationError, 0, name);
      // Changes of some 0.1 beside weights of order 1, rounded at 6e-8 a few times.
      assert.ok(each.appliedError! <= 1e-5, `${name}: ${each.appliedError}`);
    }
  }
  for (const [name, options] of [["fedmomentum", { energy: 1 }], ["florist", { energy: 1 }]] as const) {
    for (const each of await errors(name, options)) {
      assert.ok(each.aggregationError! > 1e-3, `${name}: ${each.aggregationError}`);
      assert.ok(each.appliedError! <= 1e-5, `${name}: ${each.appliedError}`);
    }
  }
});

test("the error that is applied is the one of the mean for fedIt, less for loraFair, and what an SVD cuts off for raFLora", async () => {
  for (const each of await errors("fedrot-lora")) {
    assert.ok(each.aggregationError! > 1e-3 && Math.abs(each.aggregationError! - each.appliedError!) <= 1e-5);
  }
  const [fair, whole] = [await errors("lora-fair", { lambda: 0 }), await errors("fedit")];
  // The first rounds of both begin alike.
  for (const each of [...fair, ...whole]) assert.ok(each.aggregationError! > 1e-3);
  assert.notEqual(fair[0]!.appliedError, fair[0]!.aggregationError);
  for (const each of await errors("raflora")) assert.ok(each.appliedError! > 1e-3 && each.appliedError! < 1);
});
