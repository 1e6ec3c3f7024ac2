import assert from "node:assert/strict";
import { test } from "node:test";
import { createCodec, measures, simulate, type SimulationOptions } from "../../src/fl/mod.ts";
import { testGpu } from "../engine/harness.ts";
import { methodNames, methodOn } from "../support/methods.ts";
import { randomClients, tinyClassifier, tinyTask } from "../support/tiny_encoder.ts";

const gpu = await testGpu();
const train = tinyTask({ size: 24, length: 4, seed: 1 });
const pretrained = tinyClassifier(gpu, { seed: 7 });

/** Two rounds of three clients in two blocks, with all measures and state that clients keep. */
function optionsOf(name: string): SimulationOptions {
  return {
    method: methodOn(name, { targets: ["encoder.inner", "encoder.outer"], rank: 2, alpha: 3 }),
    codec: createCodec({ name: "topk", share: 0.5 }),
    measures: [...measures.values()],
    train,
    test: tinyTask({ size: 8, length: 4, seed: 2 }),
    clients: randomClients(train.size, 3, 1),
    rounds: 2,
    blockSize: 2,
    work: { steps: 2 },
    batchSize: 4,
    optimizer: { name: "adamw" },
    learningRate: 0.01,
    seed: 1,
  };
}

/** Bytes that stay on the GPU. */
async function left(work: () => Promise<void>): Promise<number> {
  const before = gpu.stats().liveBytes;
  await work();
  return gpu.stats().liveBytes - before;
}

test("simulate() leaves nothing on the GPU, at whichever event it is left", async () => {
  for (const name of methodNames) {
    for (let last = 1, isOver = false; !isOver; last++) {
      let type = "";
      const bytes = await left(async () => {
        let seen = 0;
        for await (const event of simulate(pretrained, optionsOf(name))) {
          type = event.type === "progress" ? `${event.phase} of round ${event.round}` : event.type;
          isOver = event.type === "finished";
          if (isOver || ++seen === last) break;
        }
      });
      if (!isOver) assert.equal(bytes, 0, `${name}, left at event ${last}: ${type}`);
    }
  }
});
