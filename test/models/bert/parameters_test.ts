import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type BertParameters,
  bertParameterShapes,
  checkBertParameters,
  randomBertParameters,
} from "../../../src/models/mod.ts";
import { tinyBertConfig } from "../../support/bert.ts";

const config = tinyBertConfig();

test("bertParameterShapes() counts 22,713,216 values of all-MiniLM-L6-v2 with its pooler", () => {
  // What the published model.safetensors holds but for the buffer of position ids.
  const shapes = bertParameterShapes({
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

test("checkBertParameters() lists all that are missing, misshapen, short or unknown in one error", () => {
  const good = randomBertParameters(config, { seed: 1 });
  checkBertParameters(good, config);
  const bad = new Map(good);
  const { data } = good.get("encoder.layer.1.output.dense.weight")!;
  bad.delete("encoder.layer.0.attention.self.query.weight");
  bad.set("encoder.layer.1.output.dense.weight", { shape: [19, 12], data });
  bad.set("embeddings.LayerNorm.bias", { shape: [12], data: new Float32Array(11) });
  bad.set("cls.predictions.bias", { shape: [23], data: new Float32Array(23) });
  assert.throws(() => checkBertParameters(bad, config), {
    name: "ParameterMismatchError",
    message: [
      "Cannot build a BERT encoder:",
      "  embeddings.LayerNorm.bias must hold 12 values, got 11",
      "  encoder.layer.0.attention.self.query.weight [12, 12] is missing",
      "  encoder.layer.1.output.dense.weight must be [12, 19], got [19, 12]",
      "  cls.predictions.bias [23] is not a part of it",
    ].join("\n"),
  });
});

test("checkBertParameters() takes a pooler or none, but not a part of one", () => {
  const parameters: BertParameters = randomBertParameters(config, { seed: 1, pooler: true });
  checkBertParameters(parameters, config);
  const half = new Map(parameters);
  half.delete("pooler.dense.bias");
  assert.throws(() => checkBertParameters(half, config), {
    message: /pooler\.dense\.bias \[12\] is missing/,
  });
});

test("randomBertParameters() draws deviation 0.02 by its seed, zero biases and identity norms", () => {
  const parameters = randomBertParameters(config, { seed: 5 });
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
  assert.deepEqual(randomBertParameters(config, { seed: 5 }), parameters);
  const name = "encoder.layer.0.attention.self.query.weight";
  assert.notDeepEqual(randomBertParameters(config, { seed: 6 }).get(name), parameters.get(name));
  assert.notDeepEqual(parameters.get(name)!.data, parameters.get(name.replace("query", "key"))!.data);
});
