import assert from "node:assert/strict";
import { test } from "node:test";
import { type Gpu } from "../../../src/engine/mod.ts";
import { attachAdapters, lora } from "../../../src/federa/mod.ts";
import { trainableParameters } from "../../../src/fl/mod.ts";
import { type Backbone, encoderFamilies, uploadParameters } from "../../../src/models/mod.ts";
import {
  classification,
  createTaskSet,
  modelOutputs,
  packBatches,
  questionAnswering,
  type Task,
  TaskModel,
  type TaskSet,
  tokenClassification,
  trainBlock,
} from "../../../src/tasks/mod.ts";
import { bitsOf, testFamilies } from "../../engine/harness.ts";
import { drawParameters } from "../../support/bert.ts";
import { trainedBy } from "../../support/methods.ts";
import { Random } from "../../support/random.ts";

const gpus = await testFamilies();
const sizes = {
  vocab_size: 23,
  hidden_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 40,
  max_position_embeddings: 24,
  type_vocab_size: 2,
};
const configs: Readonly<Record<string, object>> = {
  bert: sizes,
  roberta: sizes,
  electra: { ...sizes, embedding_size: 12 },
  distilbert: {
    vocab_size: 23,
    dim: 32,
    n_layers: 1,
    n_heads: 2,
    hidden_dim: 40,
    max_position_embeddings: 24,
  },
  "deberta-v2": {
    ...sizes,
    relative_attention: true,
    pos_att_type: "c2p|p2c",
    position_buckets: 4,
    conv_kernel_size: 3,
  },
};
const labels = ["a", "b", "c"];
const tasks: Readonly<Record<string, Task>> = {
  classes: classification({ labels }) as Task,
  tags: tokenClassification({ labels }) as Task,
  questions: questionAnswering() as Task,
};

/** Texts of 1 to 15 tokens, the same whatever length they are padded to; padding has ids that would show. */
function setOf(task: Task, { size, length }: { readonly size: number; readonly length: number }): TaskSet {
  const random = new Random(5);
  const inputIds = new Uint32Array(size * length).fill(1);
  const attentionMask = new Float32Array(size * length);
  const tokenTypeIds = new Uint32Array(size * length);
  const targetsPerRow = task === tasks["tags"] ? length : task === tasks["questions"] ? 2 : 1;
  const targets = new Int32Array(size * targetsPerRow).fill(targetsPerRow === length ? -100 : 0);
  for (let i = 0; i < size; i++) {
    const tokens = 1 + random.integer(15);
    for (let t = 0; t < tokens; t++) {
      inputIds[i * length + t] = 2 + random.integer(21);
      attentionMask[i * length + t] = 1;
      tokenTypeIds[i * length + t] = random.integer(2);
      const target = random.integer(3);
      if (targetsPerRow === length) targets[i * length + t] = target === 2 ? -100 : target;
    }
    if (targetsPerRow < 3) {
      for (let k = 0; k < targetsPerRow; k++) {
        targets[i * targetsPerRow + k] = random.integer(targetsPerRow === 2 ? tokens : 3);
      }
    }
  }
  return createTaskSet({ batchSize: size, length, inputIds, attentionMask, tokenTypeIds }, { targets });
}

function encoderOf(gpu: Gpu, modelType: string): Backbone {
  const family = encoderFamilies.get(modelType)!;
  const config = family.parseConfig(configs[modelType]!);
  return family.create(
    uploadParameters(gpu, drawParameters(family.parameterShapes(config), { seed: 3 })),
    config,
  );
}

interface Options {
  readonly length: number;
  readonly isTrained: (name: string) => boolean;
  readonly plans: readonly (readonly (readonly number[])[])[];
  readonly batchSize: number;
  readonly checkpointing?: boolean;
}

/** The bits of what the last member has learned, and of its loss. */
async function lastMember(model: TaskModel, options: Options) {
  const { length, isTrained, plans, batchSize, checkpointing = false } = options;
  const start = trainableParameters(model, isTrained);
  const { values, losses } = await trainBlock(model, start, {
    optimizer: { name: "sgd" },
    learningRate: 0.1,
    clipNorm: 1,
    checkpointing,
    batches: packBatches(setOf(model.task, { size: 120, length }), plans, batchSize),
  });
  const lastOf = async (
    name: string,
    { shape, floats }: { shape: readonly number[]; floats: Float32Array },
  ) => [name, [...bitsOf(floats.slice(floats.length - floats.length / shape[0]!))]] as const;
  const all = [...values, ["loss", losses] as const];
  const found = await Promise.all(
    all.map(async ([name, each]) => lastOf(name, { shape: each.shape, floats: await each.floats() })),
  );
  for (const [, each] of all) each.dispose();
  return new Map(found);
}

// More rows of one member than a part of a split sum has, and than any chunk of rows.
const many = Array.from({ length: 80 }, (_, i) => i);
const own = [many.slice(0, 75), [3, 5, 8]];
const others = [[[7, 9, 2], many.slice(20)]];

for (const [adapterClass, gpu] of Object.entries(gpus)) {
  for (const modelType of adapterClass === "gpu" ? ["bert", "deberta-v2"] : Object.keys(configs)) {
    test(`${modelType} on ${adapterClass}: a client learns the same bits at any maxLength, whoever trains beside it`, async () => {
      for (const [kind, task] of Object.entries(tasks)) {
        // All tasks with one family, and all families with one task. The GPU's kernels are slow on a CPU.
        if (modelType !== "bert" && kind !== "tags") continue;
        if (adapterClass === "gpu" && kind === "questions") continue;
        const model = TaskModel.create(gpu, encoderOf(gpu, modelType), { task, seed: 4 });
        const adapted = await attachAdapters(model, {
          targets: model.encoder.adapterTargets,
          rank: 3,
          alpha: 3,
          initialization: lora,
        });
        for (const [method, each] of Object.entries({ full: model, fedit: adapted })) {
          const isTrained = trainedBy(method);
          const options = { isTrained, plans: [own], batchSize: 80 };
          const alone = await lastMember(each, { ...options, length: 15 });
          const beside = { length: 22, plans: [...others, own], checkpointing: method === "fedit" };
          assert.deepEqual(await lastMember(each, { ...options, ...beside }), alone, `${kind} ${method}`);
        }
      }
    });
  }
}

test("a client learns the same bits beside one whose texts fill all their rows", async () => {
  const gpu = gpus["cpu"]!;
  const task = tasks["classes"]!;
  const model = TaskModel.create(gpu, encoderOf(gpu, "bert"), { task, seed: 4 });
  const { inputs: { attentionMask } } = setOf(task, { size: 120, length: 15 });
  const tokensOf = (row: number) =>
    Array.from(attentionMask!.data.slice(row * 15, (row + 1) * 15)).filter((each) => each === 1).length;
  const longest = many.find((row) => tokensOf(row) === 15)!;
  const full = own.map((rows) => rows.map(() => longest));
  const options = { isTrained: trainedBy("full"), batchSize: 75, length: 15 };
  const alone = await lastMember(model, { ...options, plans: [own] });
  assert.deepEqual(await lastMember(model, { ...options, plans: [full, own] }), alone);
});

test("adapters learn the same bits from rows without padding as from whole texts, where each sum is one chain", async () => {
  const gpu = gpus["cpu"]!;
  for (const modelType of Object.keys(configs)) {
    const task = tasks["classes"]!;
    const encoder = encoderOf(gpu, modelType);
    const options = {
      isTrained: (name: string) => /lora[AB]$/.test(name),
      plans: [...others, own],
      batchSize: 80,
      length: 22,
    };
    const [packed, padded] = await Promise.all([true, false].map(async (packsTokens) => {
      const copy = Object.assign(encoder.mapParameters((_, parameter) => parameter), { packsTokens });
      const model = TaskModel.create(gpu, copy, { task, seed: 4 });
      return lastMember(
        await attachAdapters(model, {
          targets: model.encoder.adapterTargets,
          rank: 3,
          alpha: 3,
          initialization: lora,
        }),
        options,
      );
    }));
    assert.deepEqual(packed, padded, modelType);
  }
});

test("outputs of packed texts have the bits that whole ones have, on every adapter and for every task", async () => {
  for (const gpu of Object.values(gpus)) {
    for (const modelType of Object.keys(configs)) {
      for (const [kind, task] of Object.entries(tasks)) {
        if (modelType !== "bert" && kind !== "questions") continue;
        const set = setOf(task, { size: 30, length: 22 });
        const encoder = encoderOf(gpu, modelType);
        const [packed, padded] = await Promise.all([true, false].map((packsTokens) => {
          const copy = Object.assign(encoder.mapParameters((_, parameter) => parameter), { packsTokens });
          return modelOutputs(TaskModel.create(gpu, copy, { task, seed: 4 }), set, { batchSize: 16 });
        }));
        const isToken = (i: number) =>
          !task.perToken || set.inputs.attentionMask!.data[Math.floor(i / task.labels.length)] === 1;
        const real = (values: Float32Array) => bitsOf(values.filter((_, i) => isToken(i)));
        assert.deepEqual(real(packed!.outputs), real(padded!.outputs), modelType);
        assert.deepEqual(bitsOf(packed!.losses), bitsOf(padded!.losses), modelType);
      }
    }
  }
});
