import assert from "node:assert/strict";
import { test } from "node:test";
import { Linear } from "../../src/engine/mod.ts";
import {
  adaptersOf,
  attachAdapters,
  federa,
  lora,
  LowRankLinear,
  merge,
  PatternError,
} from "../../src/federa/mod.ts";
import { run, testGpu, upload } from "../engine/harness.ts";
import { F64Array } from "../reference/array.ts";
import { linearStack } from "../support/linear_stack.ts";

const gpu = await testGpu();
const model = linearStack(gpu, [6, 5, 4, 3], 1);
const options = { targets: ["layers.*"], rank: 2, alpha: 4, initialization: lora };

test("attachAdapters() refuses ranks that don't fit, by the layer's name and shape", async () => {
  for (const rank of [0, -1, 1.5, NaN, Infinity, 5]) {
    await assert.rejects(attachAdapters(model, { ...options, rank }), {
      name: "RangeError",
      message: rank === 5
        ? /layers\.1 of shape \[4, 5\] with rank 5: expected an integer from 1 to 4/
        : /with rank/,
    });
  }
  // A layer that isn't adapted sets no limit.
  await attachAdapters(model, { ...options, rank: 4 });
  await assert.rejects(attachAdapters(model, { ...options, targets: ["**"], rank: 4 }), {
    name: "RangeError",
    message: /head/,
  });
});

test("attachAdapters() refuses an alpha that is no positive number", async () => {
  for (const alpha of [0, -1, NaN, Infinity]) {
    await assert.rejects(attachAdapters(model, { ...options, alpha }), {
      name: "RangeError",
      message: new RegExp(`alpha ${alpha}`),
    });
  }
});

test("attachAdapters() refuses patterns without a layer, and layers that are adapted already", async () => {
  await assert.rejects(attachAdapters(model, { ...options, targets: ["encoder.*"] }), PatternError);
  const adapted = await attachAdapters(model, options);
  await assert.rejects(attachAdapters(adapted, options), PatternError);
});

test("attachAdapters() scales by alpha / rank and reports progress layer by layer", async () => {
  const seen: number[][] = [];
  const adapted = await attachAdapters(model, {
    ...options,
    onProgress: (done, total) => seen.push([done, total]),
  });
  assert.deepEqual(seen, [[1, 2], [2, 2]]);
  const adapters = adaptersOf(adapted);
  assert.deepEqual([...adapters.keys()], ["layers.0", "layers.1"]);
  for (const { scaling, rank } of adapters.values()) assert.deepEqual([scaling, rank], [2, 2]);
});

test("attachAdapters() leaves the model alone and shares its frozen tensors between adapters", async () => {
  const before = gpu.stats().liveBytes;
  const first = await attachAdapters(model, options);
  const second = await attachAdapters(model, { ...options, seed: 1 });
  const parts = (rank: number) => 4 * rank * (6 + 5 + 5 + 4);
  // The pool rounds each of the 8 factors up to at most 256 bytes.
  assert.ok(gpu.stats().liveBytes - before <= 2 * parts(2) + 8 * 256);
  const third = await attachAdapters(model, { ...options, initialization: federa({ svd: "exact" }) });
  assert.ok(model.layers.every((layer) => layer instanceof Linear));
  for (const adapted of [first, second, third]) {
    assert.ok(adapted.head.weight === model.head.weight);
    for (const [i, layer] of adapted.layers.entries()) {
      assert.ok(layer instanceof LowRankLinear);
      assert.ok(layer.bias === (model.layers[i] as Linear).bias);
    }
  }
  for (const i of [0, 1]) {
    const [pretrained, a, b, c] = [model, first, second, third].map(({ layers }) =>
      layers[i] as Linear & LowRankLinear
    );
    assert.ok(a!.weight === pretrained!.weight);
    assert.ok(b!.weight === pretrained!.weight);
    assert.ok(a!.loraA !== b!.loraA);
    assert.ok(c!.weight !== pretrained!.weight);
  }
});

test("merge() turns every adapter into an ordinary layer of the same function", async () => {
  const [w, b, a] = [
    F64Array.from([2, 2], [1, 2, 3, 4]),
    F64Array.from([2, 1], [1, -1]),
    F64Array.from([1, 2], [2, 1]),
  ];
  const layer = new LowRankLinear({
    weight: upload(gpu, w),
    bias: undefined,
    loraA: upload(gpu, a),
    loraB: upload(gpu, b),
    scaling: 0.5,
  });
  // W + ½·[1; −1]·[2 1] = [1 2; 3 4] + [1 ½; −1 −½].
  assert.deepEqual(await run(gpu, () => layer.effectiveWeight()), Float32Array.of(2, 2.5, 2, 3.5));
  const merged = merge(await attachAdapters(model, { ...options, initialization: federa({ svd: "exact" }) }));
  assert.equal(adaptersOf(merged).size, 0);
  assert.ok(merged.layers.every((each) => each instanceof Linear));
  assert.ok(merged.head.weight === model.head.weight);
});
