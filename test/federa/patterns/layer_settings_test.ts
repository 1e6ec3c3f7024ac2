import assert from "node:assert/strict";
import { test } from "node:test";
import {
  adaptersOf,
  attachAdapters,
  checkLayerPatterns,
  layerSettings,
  lora,
  PatternError,
  scalingOf,
} from "../../../src/federa/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { linearStack } from "../../support/linear_stack.ts";

const gpu = await testGpu();

test("scalingOf() is alpha/r, and alpha/√r of rank-stabilised LoRA", () => {
  assert.equal(scalingOf({ rank: 16, alpha: 8 }), 0.5);
  assert.equal(scalingOf({ rank: 16, alpha: 8, scaling: "alpha/r" }), 0.5);
  assert.equal(scalingOf({ rank: 16, alpha: 8, scaling: "rslora" }), 2);
});

test("layerSettings() takes the first pattern that matches, for rank and alpha apart", () => {
  const options = {
    rank: 8,
    alpha: 16,
    rankPattern: { "encoder.1.*": 2, "**.query": 4 },
    alphaPattern: { "**.query": 32 },
  };
  assert.deepEqual(layerSettings("encoder.0.key", options), { rank: 8, alpha: 16, scaling: 2 });
  assert.deepEqual(layerSettings("encoder.0.query", options), { rank: 4, alpha: 32, scaling: 8 });
  assert.deepEqual(layerSettings("encoder.1.query", options), { rank: 2, alpha: 32, scaling: 16 });
  assert.equal(layerSettings("encoder.0.query", { ...options, scaling: "rslora" }).scaling, 16);
});

test("checkLayerPatterns() refuses a pattern that no adapted layer has, and one that never wins", () => {
  const layers = ["encoder.0.query", "encoder.1.query", "encoder.0.value"];
  checkLayerPatterns(layers, { rankPattern: { "encoder.0.*": 2, "**.query": 4 } });
  assert.throws(() => checkLayerPatterns(layers, { rankPattern: { "**.qwery": 2 } }), {
    name: "PatternError",
    message:
      /Cannot set rankPattern of "\*\*\.qwery": it matches no adapted layer; .* did you mean "\*\*\.query"\?/,
  });
  assert.throws(() => checkLayerPatterns(layers, { alphaPattern: { "**.query": 2, "encoder.1.*": 4 } }), {
    name: "PatternError",
    message:
      /Cannot set alphaPattern of "encoder\.1\.\*": it matches no adapted layer without an earlier pattern/,
  });
});

test("attachAdapters() gives layers the ranks and scales of their patterns", async () => {
  const model = linearStack(gpu, [6, 5, 4, 3], 1);
  const options = { targets: ["layers.*"], rank: 2, alpha: 4, initialization: lora };
  const adapted = await attachAdapters(model, {
    ...options,
    scaling: "rslora",
    rankPattern: { "layers.1": 4 },
    alphaPattern: { "layers.0": 3 },
  });
  const found = [...adaptersOf(adapted)].map((
    [name, { rank, sharedScaling }],
  ) => [name, rank, sharedScaling]);
  assert.deepEqual(found, [["layers.0", 2, 3 / Math.sqrt(2)], ["layers.1", 4, 2]]);
  await assert.rejects(attachAdapters(model, { ...options, rankPattern: { head: 1 } }), PatternError);
  await assert.rejects(attachAdapters(model, { ...options, rankPattern: { "layers.1": 5 } }), {
    name: "RangeError",
    message: /layers\.1 of shape \[4, 5\] with rank 5/,
  });
  await assert.rejects(attachAdapters(model, { ...options, alphaPattern: { "layers.1": -1 } }), {
    name: "RangeError",
    message: /alpha -1/,
  });
});
