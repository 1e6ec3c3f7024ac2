import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { disposeAll, tensor } from "../../../src/engine/mod.ts";
import { fullFineTuning, meanAggregator, simulate, trainableParameters } from "../../../src/fl/mod.ts";
import {
  classification,
  createTaskSet,
  evaluate,
  modelOutputs,
  multiLabelClassification,
  openTaskModel,
  packBatches,
  regression,
  type Task,
  tokenClassification,
  trainBlock,
} from "../../../src/tasks/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { finishAggregation, openAggregation } from "../../support/aggregation.ts";
import { assertClose } from "../../support/compare.ts";
import { folderFiles } from "../../support/folder_files.ts";
import { goldenLosses, lossesFolder } from "../../support/golden_losses.ts";

const gpu = await testGpu();
const { rate, plans, clients, ids, mask } = goldenLosses;
const [batchSize, length] = [ids.length, ids[0]!.length];
const labels = ["LABEL_0", "LABEL_1", "LABEL_2"];
// The scores want more than numbers of tags and labels; what they are is tested elsewhere.
const withoutScores = (task: Task): Task => ({
  ...task,
  scorer: () => ({ add() {}, finish: () => ({}) }),
});
const tasks: Readonly<Record<string, Task>> = {
  "token-classification": withoutScores(tokenClassification({ labels }) as Task),
  "sequence-classification": classification({ labels }) as Task,
  "multi-label-classification": multiLabelClassification({ labels }) as Task,
  "regression": regression({ labels }) as Task,
};
// Losses up to 3 of logits up to 3, each the sum of some 12 products in f32 through one layer, and up to three steps of 0.2.
const tolerance = { absolute: 5e-6 };

for (const [kind, task] of Object.entries(tasks)) {
  const golden = goldenLosses.tasks[kind]!;
  const { model } = await openTaskModel(gpu, folderFiles(join(lossesFolder, kind)), { task });
  const targets = golden.targets.flat();
  const set = createTaskSet({
    batchSize,
    length,
    inputIds: Uint32Array.from(ids.flat()),
    attentionMask: Float32Array.from(mask.flat()),
  }, { targets: /regression|multi/.test(kind) ? Float32Array.from(targets) : Int32Array.from(targets) });

  test(`evaluate() gives the loss of ${kind} that torch does, in batches of any size`, async () => {
    const { outputs } = await modelOutputs(model, set);
    const counts = set.inputs.attentionMask!.data.length === outputs.length / 3
      ? set.inputs.attentionMask!.data
      : undefined;
    // Outputs of padding mean nothing.
    const kept = (values: ArrayLike<number>) =>
      Array.from(values).filter((_, i) => counts?.[Math.trunc(i / 3)] !== 0);
    assertClose(kept(outputs), kept(golden.logits), tolerance);
    for (const batchSize of [1, 2, 5, 64]) {
      const { loss } = await evaluate(model, set, { batchSize });
      assertClose([loss], [golden.loss], tolerance);
    }
  });

  test(`trainBlock() and FedAvg give the losses of ${kind} that torch does, on unequal batches`, async () => {
    const { local } = golden;
    const start = trainableParameters(model, () => true);
    const { values, losses } = await trainBlock(model, start, {
      batches: packBatches(set, plans, 3),
      optimizer: { name: "sgd" },
      learningRate: rate,
    });
    assertClose(await losses.floats(), local.trainLosses, tolerance);
    // What it is after clients of these shares, one of them possibly alone.
    const lossOf = async (weights: readonly number[]) => {
      const average = openAggregation(meanAggregator, weights.length);
      const shares = tensor(gpu, weights);
      average.add({ clients: [], values, shares: weights, weights: shares });
      shares.dispose();
      const { values: averaged } = await finishAggregation(average);
      const { loss } = await evaluate(model.mapParameters((name) => averaged.get(name)!), set);
      disposeAll(averaged.values());
      return loss;
    };
    assertClose([await lossOf([1, 0]), await lossOf([0, 1])], local.losses, tolerance);
    assertClose(
      [await lossOf(clients.map((rows) => rows.length / set.size))],
      [local.averageLoss],
      tolerance,
    );
    disposeAll([...values.values(), losses]);
  });

  test(`simulate() reports the losses of ${kind} that torch does`, async () => {
    const { round } = golden;
    for (const blockSize of [1, 2]) {
      const run = simulate(model, {
        method: fullFineTuning(),
        train: set,
        test: set,
        clients,
        rounds: 1,
        blockSize,
        work: { epochs: 1 },
        batchSize: 4,
        optimizer: { name: "sgd" },
        learningRate: rate,
        seed: 1,
      });
      for await (const event of run) {
        if (event.type === "initialized") assertClose([event.test!.loss], [golden.loss], tolerance);
        if (event.type !== "round") continue;
        const { trainLoss, test } = event.report;
        assertClose([trainLoss!, test!.loss], [round.trainLoss, round.averageLoss], tolerance);
      }
    }
  });
}

test("evaluate() refuses rows of which no target counts", async () => {
  const task = tasks["token-classification"]!;
  const { model } = await openTaskModel(gpu, folderFiles(join(lossesFolder, task.kind)), { task });
  const cut = createTaskSet({
    batchSize: 2,
    length: 1,
    inputIds: Uint32Array.of(1, 2),
    attentionMask: Float32Array.of(1, 1),
  }, { targets: Int32Array.of(-100, -100) });
  await assert.rejects(evaluate(model, cut), {
    name: "RangeError",
    message:
      "Cannot evaluate 2 rows: expected targets that count, got none; raise the maximum length if texts were cut",
  });
});

test("evaluate() refuses a token that the encoder has no embedding for", async () => {
  const task = tasks["sequence-classification"]!;
  const { model } = await openTaskModel(gpu, folderFiles(join(lossesFolder, task.kind)), { task });
  const rows = {
    batchSize: 1,
    length: 2,
    inputIds: Uint32Array.of(1, 1000),
    attentionMask: Float32Array.of(1, 1),
  };
  const set = createTaskSet(rows, { targets: Int32Array.of(0) });
  await assert.rejects(evaluate(model, set), { name: "RangeError", message: /1000/ });
});
