/**
 * From nothing to the first finished step of one client: what `startup` runs in a process of its own. Model, method and batch
 * are the demonstration's; reading its mails is left out.
 *
 * @module
 */
import { openGpu } from "../../src/engine/mod.ts";
import { packBatches, planBatches, trainBlock } from "../../src/tasks/mod.ts";
import { createEncoder, createModel, randomTexts } from "../model.ts";

const batchSize = 4;
const length = 24;

using gpu = await openGpu();
const { encoder } = await createEncoder(gpu);
const { model, trainable } = await createModel(gpu, encoder);
const examples = Array.from({ length: batchSize }, (_, i) => i);
const plan = planBatches(examples, { work: { steps: 1 }, batchSize, seed: 0, round: 1, client: 0 });
const { losses } = await trainBlock(model, trainable, {
  batches: packBatches(randomTexts(batchSize, length), [plan], batchSize),
  optimizer: { name: "sgd" },
  learningRate: 0.1,
});
const loss = await losses.item();
process.stdout.write(`finished a step with loss ${loss}\n`);
