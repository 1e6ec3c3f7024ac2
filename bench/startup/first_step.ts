/**
 * From nothing to the first finished step of training: what `startup` runs in a process of its own, as the demonstration
 * does it but for the reading of its mails.
 *
 * @module
 */
import { openGpu } from "../../src/engine/mod.ts";
import { packBatches, planBatches, trainCohort } from "../../src/fl/mod.ts";
import { createEncoder, createModel, randomTexts } from "../model.ts";

const clients = 16;
const batchSize = 4;
const length = 24;

using gpu = await openGpu();
const { encoder } = await createEncoder(gpu);
const { model, trainable } = await createModel(gpu, encoder);
const plans = Array.from(
  { length: clients },
  (_, client) =>
    planBatches(Array.from({ length: batchSize }, (_, i) => client * batchSize + i), {
      work: { steps: 1 },
      batchSize,
      seed: 0,
      round: 1,
      client,
    }),
);
const { losses } = await trainCohort(model, trainable, {
  batches: packBatches(randomTexts(clients * batchSize, length), plans, batchSize),
  optimizer: { name: "sgd" },
  learningRate: 0.1,
});
const found = await losses.floats();
if (!found.every(Number.isFinite)) throw new Error(`Cannot train: losses are ${found}`);
process.stdout.write("finished a step\n");
