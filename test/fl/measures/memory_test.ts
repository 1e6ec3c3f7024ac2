import assert from "node:assert/strict";
import { test } from "node:test";
import { disposeAll, type Gpu, Linear, tensor, zeros } from "../../../src/engine/mod.ts";
import { LowRankLinear, matchLinears } from "../../../src/federa/mod.ts";
import { measures } from "../../../src/fl/measures/mod.ts";
import { Bert, type BertConfig, bertFamily } from "../../../src/models/mod.ts";
import { BlockTraining, classification, packBatches, TaskModel } from "../../../src/tasks/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { clientsFrom } from "../../support/federation.ts";
import { tinyTask } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();

const bertBase: BertConfig = {
  vocabSize: 30522,
  hiddenSize: 768,
  numHiddenLayers: 12,
  numAttentionHeads: 12,
  intermediateSize: 3072,
  hiddenAct: "gelu",
  maxPositionEmbeddings: 512,
  typeVocabSize: 2,
  layerNormEps: 1e-12,
  padTokenId: 0,
};
const [members, batchSize, length, rank] = [8, 8, 64, 8];
const data = tinyTask({ size: 8, length, vocabulary: 100 });

/** BERT-base without values, of which a rehearsal needs none, and LoRA on the layers that match. */
function adaptedBert(gpu: Gpu, targets: readonly string[]): { pretrained: TaskModel; model: TaskModel } {
  const parameters = new Map(
    [...bertFamily.parameterShapes(bertBase)].map(([name, shape]) => [name, zeros(gpu, shape)]),
  );
  const pretrained = TaskModel.create(gpu, new Bert(parameters, { config: bertBase }), {
    task: classification({ labels: ["a", "b"] }),
    seed: 1,
  });
  const adapted = new Set(matchLinears(pretrained, targets));
  const model = pretrained.mapModules((name, module) => {
    if (!(module instanceof Linear) || !adapted.has(name)) return module;
    const [out, width] = module.weight.shape as [number, number];
    return new LowRankLinear({
      ...module,
      loraA: zeros(gpu, [rank, width]),
      loraB: zeros(gpu, [out, rank]),
      scaling: 1,
    });
  });
  return { pretrained, model };
}

/** The most bytes that a round of `blocks` blocks of clients takes, the model counted, with the measures or without. */
async function rehearse(
  targets: readonly string[],
  { measured, blocks = 1 }: { measured: boolean; blocks?: number },
): Promise<number> {
  return await gpu.rehearse(async () => {
    const { pretrained, model } = adaptedBert(gpu, targets);
    const watching = measured
      ? [...measures.values()].map((create) => create({ pretrained, initial: model }))
      : [];
    for (const measure of watching) measure.begin(model);
    const start = new Map(
      [...model.namedParameters()].filter(([name]) => /^head|\.lora[AB]$/.test(name)),
    );
    for (let block = 0; block < blocks; block++) {
      const training = new BlockTraining(model, start, {
        batches: packBatches(data, new Array(members).fill([[0], [1]]), batchSize),
        optimizer: { name: "adamw" },
        learningRate: 1e-3,
      });
      for (let step = 0; step < 2; step++) training.step();
      const { values, losses } = training.finish();
      training[Symbol.dispose]();
      const shares = new Array<number>(members).fill(1 / members);
      const weights = tensor(gpu, shares);
      for (const measure of watching) {
        measure.add({ clients: clientsFrom(block * members, members), values, shares, weights });
      }
      disposeAll([losses, weights, ...values.values()]);
    }
    const next = new Map([...start].map(([name, { shape }]) => [name, zeros(gpu, shape)]));
    const after = model.mapParameters((name, parameter) => next.get(name) ?? parameter);
    await Promise.all(watching.map((measure) => measure.end(after)));
    for (const measure of watching) {
      measure.dispose();
      measure.close?.();
    }
    disposeAll([...next.values(), ...[...model.namedParameters()].map(([, parameter]) => parameter)]);
  });
}

test("all measures together take less than 10 % of the memory that training BERT-base takes", async () => {
  for (const targets of [["**.attention.**"], ["**.encoder.layer.**"]]) {
    const [alone, measured] = [
      await rehearse(targets, { measured: false }),
      await rehearse(targets, { measured: true }),
    ];
    assert.ok(measured <= 1.1 * alone, `${measured} bytes beside ${alone}, ${targets}`);
  }
});

test("measures hold no more of many blocks than two matrices a layer", async () => {
  const targets = ["**.attention.**"];
  const [few, many, more] = [
    await rehearse(targets, { measured: true }),
    await rehearse(targets, { measured: true, blocks: 8 }),
    await rehearse(targets, { measured: true, blocks: 16 }),
  ];
  // 64 clients' 512 terms of 768 + 768 floats are more than the weight is. The pool rounds sizes up, and holds a few numbers a block.
  assert.ok(many - few <= 48 * 2 * 4 * 768 ** 2 * 1.05, `${many - few}`);
  assert.ok(more - many <= 8 * 512, `${more - many}`);
});
