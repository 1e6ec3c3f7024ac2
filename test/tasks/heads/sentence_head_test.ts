import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeSafetensors, type StoredTensor } from "../../../src/models/mod.ts";
import { multiLabelClassification, openSentenceHead, openTaskModel } from "../../../src/tasks/mod.ts";
import { run, testGpu } from "../../engine/harness.ts";
import { assertClose } from "../../support/compare.ts";
import { GoldenEncoder } from "../../support/golden_encoder.ts";
import { temporaryFiles } from "../../support/temporary_files.ts";

const gpu = await testGpu();
const type = (name: string) => `sentence_transformers.models.${name}`;
const identity = "torch.nn.modules.linear.Identity";

/** A model of `sentence-transformers` on a golden encoder: three labels told by a dense layer on the mean of states. */
function modelOf(golden: GoldenEncoder, dense: object = {}) {
  const { prefix, architecture } = golden.family;
  const own = [...golden.checkpoint].filter(([name]) => name.startsWith(prefix) && !name.includes("pooler"));
  const weight = Float32Array.from({ length: 36 }, (_, i) => Math.sin(i));
  const bias = Float32Array.of(0.5, -1, 2);
  return {
    weight,
    bias,
    files: {
      "config.json": {
        ...golden.config as object,
        architectures: [architecture],
        problem_type: "multi_label_classification",
        id2label: { 0: "insult", 1: "threat", 2: "toxic" },
      },
      "model.safetensors": encodeSafetensors(
        new Map(own.map(([name, each]) => [name.slice(prefix.length), each])),
      ),
      "modules.json": [
        { path: "", type: type("Transformer") },
        { path: "1_Pooling", type: type("Pooling") },
        { path: "2_Dense", type: type("Dense") },
      ],
      "1_Pooling/config.json": { pooling_mode_mean_tokens: true },
      "2_Dense/config.json": { bias: true, activation_function: identity, ...dense },
      "2_Dense/model.safetensors": encodeSafetensors(
        new Map<string, StoredTensor>([
          ["linear.weight", { dtype: "F32", shape: [3, 12], data: weight }],
          ["linear.bias", { dtype: "F32", shape: [3], data: bias }],
        ]),
      ),
    },
  };
}

/** W·mean + b of the reference's states, in float64. */
function outputsOf(golden: GoldenEncoder, weight: Float32Array, bias: Float32Array): number[] {
  const [states, attentionMask] = [golden.values("states"), golden.values("mask")];
  const rows = golden.values("logits").length / 3;
  const length = attentionMask.length / rows;
  return Array.from({ length: rows }, (_, row) => {
    const at = Array.from({ length }, (_, t) => row * length + t).filter((t) => attentionMask[t] === 1);
    const mean = Array.from(
      { length: 12 },
      (_, d) => at.reduce((sum, t) => sum + states[12 * t + d]!, 0) / at.length,
    );
    return Array.from(bias, (b, k) => mean.reduce((sum, value, d) => sum + weight[12 * k + d]! * value, b));
  }).flat();
}

const goldenOf = (name: string) =>
  new GoldenEncoder(new URL(`../../golden/encoders/${name}.safetensors`, import.meta.url));

test("openTaskModel() opens an encoder with a dense layer on pooled states, of families with heads of their own too", async () => {
  for (const name of ["bert_b", "distilbert_b", "roberta_b", "deberta_v2_b"]) {
    const golden = goldenOf(name);
    const { files, weight, bias } = modelOf(golden);
    const { model } = await openTaskModel(gpu, await temporaryFiles(files));
    assert.equal(model.task.kind, "multi-label-classification");
    assert.deepEqual(model.task.labels, ["insult", "threat", "toxic"]);
    const outputs = await run(gpu, () => model.forward(golden.tokens(gpu)));
    assertClose(outputs, outputsOf(golden, weight, bias), { absolute: 1e-4 });
  }
});

test("openSentenceHead() gives the head of an adapter's folder to openTaskModel() of its base", async () => {
  const golden = goldenOf("bert_b");
  const { files: { "config.json": config, "model.safetensors": weights, ...beside }, weight, bias } = modelOf(
    golden,
  );
  const head = await openSentenceHead(await temporaryFiles(beside));
  const base = await temporaryFiles({ "config.json": config, "model.safetensors": weights });
  const task = multiLabelClassification({ labels: ["a", "b", "c"] });
  const { model } = await openTaskModel(gpu, base, { task, head });
  await head!.close();
  const outputs = await run(gpu, () => model.forward(golden.tokens(gpu)));
  assertClose(outputs, outputsOf(golden, weight, bias), { absolute: 1e-4 });
});

test("openSentenceHead() takes no other layers for a head, nor sentence encoders for trained models", async () => {
  const golden = goldenOf("bert_b");
  const { files } = modelOf(golden);
  const found = async (changes: object) =>
    await openSentenceHead(await temporaryFiles({ ...files, ...changes }));
  const dense = (changes: object) => modelOf(golden, changes).files;
  assert.equal(await found(dense({ activation_function: "torch.nn.modules.activation.Tanh" })), undefined);
  assert.equal(await found(dense({ bias: false })), undefined);
  assert.equal(await found(dense({ use_residual: true })), undefined);
  assert.equal(await found({ "modules.json": files["modules.json"].slice(0, 2) }), undefined);
  const normalized = [...files["modules.json"], { path: "3_Normalize", type: type("Normalize") }];
  assert.equal(await found({ "modules.json": normalized }), undefined);
  const { problem_type: _, ...config } = files["config.json"];
  await assert.rejects(openTaskModel(gpu, await temporaryFiles({ ...files, "config.json": config })), {
    message: /architectures of its config\.json must name one of/,
  });
});
