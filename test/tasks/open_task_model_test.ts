import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeSafetensors, type StoredTensor } from "../../src/models/mod.ts";
import { openTaskModel, readOutputs } from "../../src/tasks/mod.ts";
import { run, testGpu } from "../engine/harness.ts";
import { assertClose } from "../support/compare.ts";
import { GoldenEncoder } from "../support/golden_encoder.ts";
import { temporaryFiles } from "../support/temporary_files.ts";

const gpu = await testGpu();
const goldenOf = (name: string) =>
  new GoldenEncoder(new URL(`../golden/encoders/${name}.safetensors`, import.meta.url));
const golden = goldenOf("bert_b");

interface OpenOptions {
  readonly from?: GoldenEncoder;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly change?: (tensors: Map<string, StoredTensor>) => void;
}

/** Opens what `transformers` would have saved of the golden model, with another config.json or other tensors. */
async function open({ from = golden, config = {}, change }: OpenOptions = {}) {
  const tensors = new Map(from.checkpoint);
  change?.(tensors);
  const { architecture } = from.family.architectures.sequenceClassification;
  const files = await temporaryFiles({
    "config.json": { ...from.config as object, architectures: [architecture], num_labels: 3, ...config },
    "model.safetensors": encodeSafetensors(tensors),
  });
  const notices: string[] = [];
  const { model } = await openTaskModel(gpu, files, { onNotice: (message) => notices.push(message) });
  const left = (message: string) => message.replace(files.source, "FOLDER");
  return { model, notices: notices.map(left) };
}

async function message(options: OpenOptions): Promise<string> {
  try {
    await open(options);
  } catch (error) {
    const { name, message } = error as Error;
    return `${name}: ${message.replace(/\/\S*federa-test-\w+/, "FOLDER")}`;
  }
  assert.fail("it was opened");
}

test("openTaskModel() opens a regression of several numbers, whose values are the logits of transformers", async () => {
  const id2label = { 0: "valence", 1: "arousal", 2: "dominance" };
  const { model } = await open({ config: { problem_type: "regression", num_labels: undefined, id2label } });
  assert.equal(model.task.kind, "regression");
  const logits = golden.values("logits");
  const outputs = await run(gpu, () => model.forward(golden.tokens(gpu)));
  assertClose(outputs, logits, { absolute: 1e-4 });
  const predicted = readOutputs(
    model.task.predictor({ size: logits.length / 3 } as never),
    { size: logits.length / 3 } as never,
    outputs,
  ) as {
    values: Record<string, number>;
  }[];
  assert.deepEqual(Object.keys(predicted[0]!.values), ["valence", "arousal", "dominance"]);
  assertClose(predicted.flatMap(({ values }) => Object.values(values)), logits, { absolute: 1e-4 });
});

test("openTaskModel() tells several labels, one class of several, and one number apart", async () => {
  const kinds = { null: "sequence-classification", multi_label_classification: "multi-label-classification" };
  for (const [problemType, kind] of Object.entries(kinds)) {
    const problem_type = problemType === "null" ? null : problemType;
    assert.equal((await open({ config: { problem_type } })).model.task.kind, kind);
  }
  const one = (name: string, tensors: Map<string, StoredTensor>) => {
    const { data, shape: [, width] } = tensors.get(name)!;
    tensors.set(name, {
      dtype: "F16",
      shape: width === undefined ? [1] : [1, width],
      data: (data as Uint16Array).slice(0, width ?? 1),
    } as StoredTensor);
  };
  const { model } = await open({
    config: { id2label: null, num_labels: 1 },
    change: (tensors) => ["classifier.weight", "classifier.bias"].forEach((name) => one(name, tensors)),
  });
  assert.equal(model.task.kind, "regression");
});

test("openTaskModel() leaves out what is no part of the model, and says so in one line", async () => {
  const extra: StoredTensor = { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) };
  const { model, notices } = await open({
    change(tensors) {
      for (const name of ["cls.predictions.bias", "lm_head.bias", "my_own.weight", "bert.extra.weight"]) {
        tensors.set(name, extra);
      }
      tensors.set("bert.embeddings.position_ids", extra);
    },
  });
  assert.deepEqual(notices, [
    'Ignored tensors of FOLDER that aren\'t part of the model: "bert.extra.weight", "cls.predictions.bias", "lm_head.bias", ' +
    '"my_own.weight"',
  ]);
  assertClose(await run(gpu, () => model.forward(golden.tokens(gpu))), golden.values("logits"), {
    absolute: 1e-4,
  });
});

test("openTaskModel() starts nothing at random", async () => {
  const without = (...names: string[]) => (tensors: Map<string, StoredTensor>) =>
    names.forEach((name) => assert.ok(tensors.delete(name), name));
  const advice =
    "what is missing would be initialized at random; save the whole model with save_pretrained, or train a head on its encoder";
  assert.equal(
    await message({ change: without("bert.pooler.dense.weight", "bert.pooler.dense.bias") }),
    "ParameterMismatchError: Cannot use FOLDER as a trained BertForSequenceClassification: " +
      `bert.pooler.dense.weight [12, 12] is missing, bert.pooler.dense.bias [12] is missing; ${advice}`,
  );
  assert.match(
    await message({ change: without("classifier.weight") }),
    /classifier\.weight.* is missing; save/,
  );
  const dense = { distilbert_a: "pre_classifier.weight", deberta_v2_b: "pooler.dense.bias" };
  for (const [name, part] of Object.entries(dense)) {
    assert.match(
      await message({ from: goldenOf(name), change: without(part) }),
      new RegExp(`${part.replaceAll(".", "\\.")} \\[\\d+(, \\d+)?\\] is missing`),
    );
  }
});

test("openTaskModel() wants as many labels as the head has outputs", async () => {
  assert.equal(
    await message({ config: { num_labels: undefined, id2label: { 0: "a", 1: "b" } } }),
    "ModelConfigError: Cannot open FOLDER: its config.json names 2 labels, and its head has 3; they must agree",
  );
  assert.match(
    await message({ config: { architectures: ["BertModel"] } }),
    /must name one of .*, got \["BertModel"\]/,
  );
});
