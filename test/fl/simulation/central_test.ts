import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createCodec, simulate, type SimulationOptions } from "../../../src/fl/mod.ts";
import { centralized } from "../../../src/fl/simulation/central.ts";
import { disposeOwn } from "../../../src/fl/own_parameters.ts";
import { evaluate } from "../../../src/tasks/mod.ts";
import { holds, testGpu } from "../../engine/harness.ts";
import { methodOn } from "../../support/methods.ts";
import { randomClients, tinyClassifier, tinyTask } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const train = tinyTask({ size: 40, length: 4, seed: 1 });
const pretrained = tinyClassifier(gpu, { seed: 7 });
const method = methodOn("central", { targets: ["encoder.inner"], rank: 2 });
const defaults: SimulationOptions = {
  method,
  train,
  test: train,
  clients: randomClients(train.size, 5, 1),
  rounds: 2,
  clientsPerRound: 3,
  blockSize: 2,
  work: { epochs: 2 },
  batchSize: 4,
  optimizer: { name: "sgd" },
  learningRate: 0.1,
  seed: 1,
};

test("centralized() takes the steps of the expected cohort, in one party of all data", async () => {
  const cases = fc.record({
    sizes: fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 5 }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    batchSize: fc.integer({ min: 1, max: 9 }),
    work: fc.oneof(
      fc.record({ steps: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ epochs: fc.integer({ min: 1, max: 3 }) }),
    ),
  });
  await holds(cases, ({ sizes, share, batchSize, work }) => {
    let next = 0;
    const clients = sizes.map((size) => Array.from({ length: size }, () => next++)).reverse();
    const clientsPerRound = 1 + Math.floor(share * (sizes.length - 1));
    const found = centralized({ ...defaults, clients, clientsPerRound, batchSize, work });
    assert.deepEqual(found.clients, [Array.from({ length: next }, (_, i) => i)]);
    assert.equal(found.clientsPerRound, 1);
    // The mean over all cohorts of the sum of their members' steps, each client being in a cohort by clientsPerRound / K.
    let expected = 0;
    for (const size of sizes) {
      const steps = "steps" in work ? work.steps : work.epochs * Math.ceil(size / batchSize);
      expected += steps * clientsPerRound / sizes.length;
    }
    assert.ok("steps" in found.work && Number.isInteger(found.work.steps));
    assert.ok(Math.abs(found.work.steps - expected) <= 0.5 + 1e-9, `${found.work.steps}, ${expected}`);
    return Promise.resolve();
  });
});

test("simulate() of central training is one party that sends nothing, tested on each client's rows too", async () => {
  const testClients = defaults.clients.map((_, k) =>
    k === 1 ? undefined : tinyTask({ size: 3 + k, length: 4, seed: 50 + k })
  );
  for (const work of [{ epochs: 2 }, { steps: 3 }]) {
    const all = defaults.clients.reduce(
      (sum, { length }) => sum + ("steps" in work ? work.steps! : 2 * Math.ceil(length / 4)),
      0,
    );
    let rounds = 0;
    const before = gpu.stats().liveBytes;
    const options = {
      ...defaults,
      testClients,
      work: work as SimulationOptions["work"],
      codec: createCodec({ name: "topk", share: 0.1 }),
    };
    for await (const event of simulate(pretrained, options)) {
      if (event.type === "progress" && event.phase === "training") {
        assert.equal(event.total, Math.round(all * 3 / 5));
      }
      if (event.type === "round") {
        rounds++;
        const { participants, lost, bytesUp, bytesDown, test, clients } = event.report;
        assert.deepEqual({ participants, lost, bytesUp, bytesDown }, {
          participants: [0],
          lost: [],
          bytesUp: 0,
          bytesDown: 0,
        });
        assert.deepEqual(event.state.lastRounds, [rounds]);
        assert.deepEqual(test, await evaluate(event.model, train));
        assert.equal(clients!.numClients, 4);
        let sum = 0;
        for (const set of testClients) if (set) sum += (await evaluate(event.model, set)).scores["accuracy"]!;
        assert.ok(Math.abs(clients!.scores["accuracy"]!.mean - sum / 4) < 1e-12);
      }
      if (event.type === "finished") disposeOwn(event.model, pretrained);
    }
    assert.equal(rounds, 2);
    assert.equal(gpu.stats().liveBytes, before);
  }
});
