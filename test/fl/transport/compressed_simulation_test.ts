import assert from "node:assert/strict";
import { test } from "node:test";
import {
  clipUpdates,
  codecConfig,
  type CodecConfigInput,
  createCodec,
  shapesOf,
  simulate,
  type Stage,
} from "../../../src/fl/mod.ts";
import type { TaskModel } from "../../../src/tasks/mod.ts";
import { bitsOf, testGpu } from "../../engine/harness.ts";
import { methodOn, trainedBy } from "../../support/methods.ts";
import { randomClients, tinyClassifier, tinyTask } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const train = tinyTask({ size: 60, length: 4, seed: 1 });
const pretrained = tinyClassifier(gpu, { seed: 7 });
const clients = 5;
const rounds = 2;

/** What a run with a codec ends in, and the bytes that its reports count. */
async function run(
  choice: CodecConfigInput | undefined,
  blockSize: number,
  { isCentral = false, stages = [] }: { readonly isCentral?: boolean; readonly stages?: readonly Stage[] } =
    {},
) {
  const events = simulate(pretrained, {
    method: {
      ...methodOn("fedit", { targets: ["encoder.inner", "encoder.outer"], rank: 2, alpha: 3 }),
      isCentral,
    },
    train,
    test: tinyTask({ size: 20, length: 4, seed: 2 }),
    clients: randomClients(train.size, clients, 1),
    rounds,
    blockSize,
    stages,
    work: { epochs: 1 },
    batchSize: 4,
    optimizer: { name: "adamw" },
    learningRate: 0.01,
    seed: 1,
    ...(choice !== undefined && { codec: createCodec(codecConfig.parse(choice)) }),
  });
  const bytesUp: number[] = [];
  let model: TaskModel | undefined;
  for await (const event of events) {
    if (event.type === "round") bytesUp.push(event.report.bytesUp);
    if (event.type === "finished") model = event.model;
  }
  const trained = new Map([...model!.namedParameters()].filter(([name]) => trainedBy("fedit")(name)));
  const values = await Promise.all([...trained.values()].map(async (each) => bitsOf(await each.floats())));
  return { bytesUp, values, shapes: shapesOf(trained) };
}

test("simulate() gives the same bits with a codec whatever the block size, and counts its payloads", async () => {
  const plain = await run(undefined, 3);
  for (const choice of ["f32", "f16", "bf16", "int8", "int4", { name: "topk", share: 0.1 }] as const) {
    const title = JSON.stringify(choice);
    const [whole, split] = [await run(choice, 5), await run(choice, 2)];
    assert.deepEqual(whole, split, title);
    const bytes = clients * createCodec(codecConfig.parse(choice)).payloadBytes(whole.shapes);
    assert.deepEqual(whole.bytesUp, new Array(rounds).fill(bytes), title);
    if (choice === "f32") assert.deepEqual(whole, plain);
    else assert.notDeepEqual(whole.values, plain.values, title);
  }
});

test("simulate() sends nothing of a run with all data in one place, whatever the codec and the stages", async () => {
  const central = { isCentral: true, stages: [clipUpdates({ norm: 1e-3 })] };
  assert.deepEqual(await run("topk", 3, central), await run(undefined, 3, { isCentral: true }));
});

test("simulate() refuses a codec that would undo what a stage did", async () => {
  await assert.rejects(run("topk", 3, { stages: [clipUpdates({ norm: 1 })] }), {
    name: "TypeError",
    message: /by codec topk after clip\(1\)/,
  });
});
