import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bertFamily,
  checkEncoderParameters,
  randomParameters,
  uploadParameters,
} from "../../src/models/mod.ts";
import { testGpu } from "../engine/harness.ts";
import { tinyBertConfig } from "../support/bert.ts";

const gpu = await testGpu();
const config = tinyBertConfig();
const shapes = bertFamily.parameterShapes(config);

test("EncoderFamily.parameterShapes() counts 22,713,216 values of all-MiniLM-L6-v2 with its pooler", () => {
  // What the published model.safetensors holds but for the buffer of position ids.
  const shapes = bertFamily.parameterShapes({
    ...config,
    vocabSize: 30522,
    hiddenSize: 384,
    numHiddenLayers: 6,
    numAttentionHeads: 12,
    intermediateSize: 1536,
    maxPositionEmbeddings: 512,
  }, { pooler: true });
  const total = [...shapes.values()].reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
  assert.equal(total, 22_713_216);
});

test("checkEncoderParameters() lists all that are missing, misshapen, unknown or otherwise wrong in one error", () => {
  const good = new Map([...shapes].map(([name, shape]) => [name, { shape }]));
  checkEncoderParameters(good, bertFamily, { config });
  const bad = new Map(good);
  bad.delete("encoder.layer.0.attention.self.query.weight");
  bad.set("encoder.layer.1.output.dense.weight", { shape: [19, 12] });
  bad.set("cls.predictions.bias", { shape: [23] });
  assert.throws(() => checkEncoderParameters(bad, bertFamily, { config, problems: ["a riddle"] }), {
    name: "ParameterMismatchError",
    message: [
      "Cannot build the BERT encoder:",
      "  encoder.layer.0.attention.self.query.weight [12, 12] is missing",
      "  encoder.layer.1.output.dense.weight must be [12, 19], got [19, 12]",
      "  cls.predictions.bias [23] is not a part of it",
      "  a riddle",
    ].join("\n"),
  });
});

test("checkEncoderParameters() takes a pooler or none, but not a part of one", () => {
  const withPooler = bertFamily.parameterShapes(config, { pooler: true });
  const found = new Map([...withPooler].map(([name, shape]) => [name, { shape }]));
  assert.deepEqual(checkEncoderParameters(found, bertFamily, { config }), withPooler);
  found.delete("pooler.dense.bias");
  assert.throws(() => checkEncoderParameters(found, bertFamily, { config }), {
    message: /pooler\.dense\.bias \[12\] is missing/,
  });
});

test("randomParameters() draws deviation 0.02 by its seed, zero biases and identity norms", () => {
  const parameters = randomParameters(shapes, { seed: 5, name: "bert" });
  const weights: number[] = [];
  for (const [name, { data }] of parameters) {
    if (name.endsWith("LayerNorm.weight")) assert.ok(data.every((value) => value === 1), name);
    else if (name.endsWith(".bias")) assert.ok(data.every((value) => value === 0), name);
    else weights.push(...data);
  }
  const n = weights.length;
  const mean = weights.reduce((total, value) => total + value, 0) / n;
  const variance = weights.reduce((total, value) => total + (value - mean) ** 2, 0) / n;
  // Five standard errors: deviation/√n of the mean, √(2/n) of the variance.
  assert.ok(Math.abs(mean) <= 5 * 0.02 / Math.sqrt(n), `mean ${mean}`);
  assert.ok(Math.abs(variance / 0.02 ** 2 - 1) <= 5 * Math.sqrt(2 / n), `variance ${variance}`);
  assert.deepEqual(randomParameters(shapes, { seed: 5, name: "bert" }), parameters);
  const name = "encoder.layer.0.attention.self.query.weight";
  for (const options of [{ seed: 6, name: "bert" }, { seed: 5, name: "electra" }]) {
    assert.notDeepEqual(randomParameters(shapes, options).get(name), parameters.get(name));
  }
  assert.notDeepEqual(parameters.get(name)!.data, parameters.get(name.replace("query", "key"))!.data);
});

test("uploadParameters() keeps values and shapes, and leaves nothing behind where data don't fill a shape", async () => {
  const before = gpu.stats().liveBytes;
  const data = Float32Array.of(1, 2, 3, 4, 5, 6);
  const uploaded = uploadParameters(gpu, new Map([["table", { shape: [2, 3], data }]]));
  const table = uploaded.get("table")!;
  assert.deepEqual(table.shape, [2, 3]);
  assert.deepEqual(await table.floats(), data);
  table.dispose();
  const short = new Map([["table", { shape: [2, 3], data }], ["bias", {
    shape: [3],
    data: new Float32Array(2),
  }]]);
  assert.throws(() => uploadParameters(gpu, short), TypeError);
  assert.equal(gpu.stats().liveBytes, before);
});
