import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  evaluate,
  modelOutputs,
  predict,
  type Task,
  TaskModel,
  tokenClassification,
} from "../../../src/tasks/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { FakeTokenizer } from "../../support/fake_tokenizer.ts";
import { TinyEncoder } from "../../support/tiny_encoder.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;
const gpu = await testGpu();
const [numRows, length, numTags, batchSize] = [512, 16, 256, 32];
const labels = Array.from({ length: numTags }, (_, k) => `tag ${k}`);
const task = tokenClassification({ labels }) as Task;
const tokens = Array.from({ length: length - 2 }, () => "a");
const examples = Array.from(
  { length: numRows },
  (_, i) => ({ tokens, tags: tokens.map((_, k) => labels[i ^ k]!) }),
);
const set = task.prepare(examples.slice(0, numTags).concat(examples.slice(0, numTags)), new FakeTokenizer(), {
  maxLength: length,
});
const model = TaskModel.create(gpu, new TinyEncoder(gpu), { task, seed: 4 });
const bytesOfBatch = 4 * batchSize * length * numTags;
/** At most four numbers a token: ids, mask, tags and weights, which are on their way while outputs are read. */
const bytesOfInputs = 4 * batchSize * length * 4;
const bytesOfAll = 4 * numRows * length * numTags;

/** The most bytes of typed arrays that anything still holds after a batch, beyond those that were held before. */
async function heldBytes(run: (onProgress: () => void) => Promise<unknown>): Promise<number> {
  collectGarbage();
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  await run(() => {
    collectGarbage();
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  });
  return most;
}

test("evaluate() and predict() hold the outputs of two batches at most, whatever the number of rows", async () => {
  assert.equal(set.size, numRows);
  await evaluate(model, set, { batchSize });
  for (const run of [evaluate, predict]) {
    const held = await heldBytes((onProgress) => run(model, set, { batchSize, onProgress }));
    assert.ok(
      held <= 3 * (bytesOfBatch + bytesOfInputs),
      `${run.name}() held ${held} bytes, a batch has ${bytesOfBatch}`,
    );
  }
  // That the measure sees what is held: all outputs, by what gives them.
  const whole = await heldBytes((onProgress) => modelOutputs(model, set, { batchSize, onProgress }));
  assert.ok(whole >= bytesOfAll && bytesOfAll >= 5 * 3 * bytesOfBatch, `${whole} of ${bytesOfAll}`);
});

test("evaluate() leaves nothing on the device when a callback throws", async () => {
  const before = gpu.stats().liveBytes;
  await assert.rejects(
    evaluate(model, set, {
      batchSize,
      onProgress() {
        throw new Error("enough");
      },
    }),
    /enough/,
  );
  assert.equal(gpu.stats().liveBytes, before);
});
