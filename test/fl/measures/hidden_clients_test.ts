import assert from "node:assert/strict";
import { test } from "node:test";
import {
  aggregationError,
  clientDispersion,
  fedIt,
  type MeasureFactory,
  simulate,
  type Stage,
  subspaceAngles,
  weightVariation,
} from "../../../src/fl/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { randomClients, tinyClassifier, tinyTask } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const pretrained = tinyClassifier(gpu);
const train = tinyTask({ size: 12 });
const masks: Stage = { name: "masks", hidesClients: true };

async function run(measure: MeasureFactory): Promise<string[]> {
  const figures: string[] = [];
  const events = simulate(pretrained, {
    method: fedIt({ targets: ["encoder.inner"], rank: 2, alpha: 2 }),
    measures: [measure],
    stages: [masks],
    train,
    test: train,
    clients: randomClients(12, 3, 1),
    rounds: 1,
    blockSize: 3,
    work: { steps: 1 },
    batchSize: 2,
    optimizer: { name: "sgd" },
    learningRate: 0.1,
    seed: 1,
  });
  for await (const event of events) {
    if (event.type === "round") figures.push(...Object.keys(event.report.measures));
  }
  return figures;
}

test("simulate() refuses measures that look at each client where a stage hides them, and takes the others", async () => {
  const live = gpu.stats().liveBytes;
  for (
    const [measure, name] of [[aggregationError, "aggregation-error"], [
      clientDispersion,
      "client-dispersion",
    ]] as const
  ) {
    await assert.rejects(run(measure), {
      name: "TypeError",
      message:
        `Cannot measure ${name} with masks: it looks at the upload of each client, and masks lets the server see sums ` +
        "alone; leave the measure out",
    });
    assert.equal(gpu.stats().liveBytes, live, "bytes alive afterwards");
  }
  assert.equal((await run(weightVariation)).length, 4);
  assert.equal((await run(subspaceAngles)).length, 4);
});
