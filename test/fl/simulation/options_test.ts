import assert from "node:assert/strict";
import { test } from "node:test";
import { type Method, simulate, type SimulationOptions } from "../../../src/fl/mod.ts";
import { createTaskSet } from "../../../src/tasks/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { methodOn } from "../../support/methods.ts";
import { randomClients, tinyClassifier, tinyTask } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const train = tinyTask({ size: 12, length: 4, seed: 1 });
const pretrained = tinyClassifier(gpu, { seed: 7 });

/** A method that must not be reached. */
const method: Method = {
  ...methodOn("fedit", { targets: ["encoder.inner"], rank: 2 }),
  init: () => Promise.reject(new Error("something slow has begun")),
};
const defaults: SimulationOptions = {
  method,
  train,
  test: train,
  clients: randomClients(train.size, 3, 1),
  rounds: 1,
  blockSize: 1,
  work: { steps: 1 },
  batchSize: 4,
  optimizer: { name: "sgd" },
  learningRate: 0.1,
  seed: 1,
};
const empty = createTaskSet(
  { batchSize: 0, length: 4, inputIds: new Uint32Array(0), attentionMask: new Float32Array(0) },
  { targets: new Int32Array(0) },
);

test("simulate() refuses options by name before anything slow begins", async () => {
  const cases: [Partial<SimulationOptions>, RegExp][] = [
    [{ evaluateEvery: -1 }, /evaluateEvery -1: expected an integer, 0 or more/],
    [{ evaluateEvery: 1.5 }, /evaluateEvery 1\.5/],
    [{ evaluateEvery: NaN }, /evaluateEvery NaN/],
    [{ seed: -1 }, /seed -1/],
    [{ seed: 0.5 }, /seed 0\.5/],
    [{ seed: 2 ** 53 }, /seed 9007199254740992/],
    [{ learningRate: NaN }, /learningRate NaN: expected a finite number, 0 or more/],
    [{ learningRate: -0.1 }, /learningRate -0\.1/],
    [{ learningRate: Infinity }, /learningRate Infinity/],
    [{ clipNorm: 0 }, /clipNorm 0: expected a positive number/],
    [{ clipNorm: NaN }, /clipNorm NaN/],
    [{ testClients: [], clients: [[0]] }, /Cannot test 0 clients: expected as many as are trained, 1/],
    [{ testClients: [train, train] }, /Cannot test 2 clients: expected as many as are trained, 3/],
    [
      { testClients: [train, undefined, empty] },
      /test set of client 2: none of its 0 rows .*; use undefined/,
    ],
    [
      { testClients: [train, { ...train, targets: train.targets.map(() => -100) as Int32Array }, train] },
      /test set of client 1: none of its 12 rows/,
    ],
    [{ test: empty }, /the common test set: none of its 0 rows/],
  ];
  for (const [changes, message] of cases) {
    await assert.rejects(simulate(pretrained, { ...defaults, ...changes }).next(), {
      name: "RangeError",
      message,
    }, String(message));
  }
  await assert.rejects(simulate(pretrained, defaults).next(), { message: "something slow has begun" });
  await assert.rejects(
    simulate(pretrained, { ...defaults, test: empty, evaluateEvery: 0 }).next(),
    { message: "something slow has begun" },
  );
});
