import assert from "node:assert/strict";
import { test } from "node:test";
import { adaptersOf, decodeAdapter, encodeAdapter } from "../../../src/federa/mod.ts";
import { disposeOwn, simulate } from "../../../src/fl/mod.ts";
import { evaluate, type TaskModel } from "../../../src/tasks/mod.ts";
import { bitsOf, testGpu } from "../../engine/harness.ts";
import { methodOn } from "../../support/methods.ts";
import { randomClients, tinyClassifier, tinyTask } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const train = tinyTask({ size: 40, length: 4, seed: 1 });
const pretrained = tinyClassifier(gpu, { width: 8, inner: 7, seed: 7 });
const layer = "encoder.inner";
const ranks = [1, 4, 2];

async function finish(name: string, options: Readonly<Record<string, unknown>> = {}) {
  const run = simulate(pretrained, {
    method: methodOn(name, { targets: [layer], alpha: 3, rank: 2, ...options }),
    train,
    test: train,
    clients: randomClients(train.size, 4, 3),
    rounds: 2,
    clientsPerRound: 3,
    blockSize: 3,
    work: { steps: 2 },
    batchSize: 3,
    optimizer: { name: "adamw" },
    learningRate: 0.05,
    seed: 2,
  });
  const asked = new Set<number>();
  let spread: number | undefined;
  for await (const event of run) {
    if (event.type === "round") {
      event.report.participants.forEach((client) => asked.add(client));
      spread = event.report.clients?.scores["accuracy"]?.mean;
    }
    if (event.type === "finished") return { ...event, asked, spread };
  }
  throw new Error("unreachable");
}

const factors = async (model: TaskModel) => {
  const { loraA, loraB } = adaptersOf(model).get(layer)!;
  return [bitsOf(await loraA.floats()), bitsOf(await loraB.floats())] as const;
};

test("clientModel() is the global model with a client's own parameters, which files carry over", async () => {
  const before = gpu.stats().liveBytes;
  const { model, clientModel, asked, spread } = await finish("fedsa-lora");
  const [globalA, globalB] = await factors(model);
  const scores = [];
  for (const client of [0, 1, 2, 3]) {
    const own = await clientModel(client);
    const [a, b] = await factors(own);
    assert.deepEqual(a, globalA);
    if (asked.has(client)) {
      assert.notDeepEqual(b, globalB);
      scores.push((await evaluate(own, train)).scores["accuracy"]!);
      const loaded = await decodeAdapter(pretrained, await encodeAdapter(own, { pretrained }));
      assert.deepEqual(await evaluate(loaded, train), await evaluate(own, train));
      disposeOwn(loaded, pretrained);
    } else assert.deepEqual(b, globalB);
    disposeOwn(own, model);
  }
  assert.ok(Math.abs(scores.reduce((sum, each) => sum + each, 0) / scores.length - spread!) < 1e-12);
  disposeOwn(model, pretrained);
  assert.equal(gpu.stats().liveBytes, before);
});

test("clientModel() of local training from the SVD leaves the global model's initial factors alone", async () => {
  const before = gpu.stats().liveBytes;
  const { model, clientModel } = await finish("local", { start: "federa" });
  for (const client of [0, 1]) disposeOwn(await clientModel(client), model);
  await encodeAdapter(model, { pretrained });
  disposeOwn(model, pretrained);
  assert.equal(gpu.stats().liveBytes, before);
});

test("clientModel() of clients of different ranks has adapters of their own rank and scale", async () => {
  const before = gpu.stats().liveBytes;
  for (const name of ["flexlora", "hetlora", "flora"]) {
    const { model, clientModel } = await finish(name, { ranks });
    for (const client of [0, 1, 2, 3]) {
      const rank = ranks[client % 3]!;
      const own = await clientModel(client);
      const { loraA, loraB, sharedScaling } = adaptersOf(own).get(layer)!;
      assert.deepEqual([loraA.shape, loraB.shape], [[rank, 8], [7, rank]]);
      assert.equal(sharedScaling, 3 / (name === "hetlora" ? 4 : rank));
      const bytes = await encodeAdapter(own, { pretrained });
      const loaded = await decodeAdapter(pretrained, bytes);
      assert.deepEqual(await evaluate(loaded, train), await evaluate(own, train));
      disposeOwn(loaded, pretrained);
      disposeOwn(own, model);
    }
    disposeOwn(model, pretrained);
  }
  assert.equal(gpu.stats().liveBytes, before);
});
