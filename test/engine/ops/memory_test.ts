import assert from "node:assert/strict";
import { test } from "node:test";
import * as ops from "../../../src/engine/ops/mod.ts";
import { sizeOf } from "../../../src/engine/shape.ts";
import { type Tensor, tensor } from "../../../src/engine/tensor.ts";
import { testGpu } from "../harness.ts";

const gpu = await testGpu();
const make = (...shape: number[]) => tensor(gpu, new Float32Array(sizeOf(shape)).fill(0.5), { shape });
const [x, y, column, vector, weight, qkv] = [
  make(2, 3, 4),
  make(2, 3, 4),
  make(2, 3, 1),
  make(4),
  make(5, 4),
  make(2, 3, 12),
];
const [batch, spread] = [make(2, 4, 5), [make(2, 1, 3, 1, 2, 3), make(1, 2, 1, 2, 3, 2)] as const];
const ids = tensor(gpu, new Uint32Array(6), { shape: [2, 3] });
const index = tensor(gpu, new Uint32Array(12), { shape: [1, 3, 4] });
const labels = tensor(gpu, new Int32Array(6), { shape: [2, 3] });
const keys = tensor(gpu, Uint32Array.of(1, 2), { shape: [1, 2] });

const operations: Record<string, () => Tensor> = {
  "add() broadcasting": () => ops.add(x, column),
  "sub() of a number": () => ops.sub(x, 1),
  "pow()": () => ops.pow(x, y),
  "maximum()": () => ops.maximum(x, y),
  "clamp()": () => ops.clamp(x, { low: 0, high: 1 }),
  "gelu()": () => ops.gelu(x),
  "sum()": () => ops.sum(x, { axes: [0, 2] }),
  "mean()": () => ops.mean(x, { axes: [0, 2] }),
  "max() over one run of axes": () => ops.max(x),
  "max() over two runs of axes": () => ops.max(x, { axes: [0, 2] }),
  "logSumExp()": () => ops.logSumExp(x),
  "sumOfSquares()": () => ops.sumOfSquares(x, { axes: [0, 2] }),
  "argmax()": () => ops.argmax(x),
  "softmax()": () => ops.softmax(x),
  "layerNorm()": () => ops.layerNorm(x, { weight: vector, bias: vector }),
  "linear()": () => ops.linear(x, { weight }),
  "matmul() of many rows by one matrix": () => ops.matmul(x, weight, { transposeB: true }),
  "matmul() of a batch": () => ops.matmul(x, batch),
  "matmul() broadcasting both batches": () => ops.matmul(...spread),
  "selfAttention()": () => ops.selfAttention(qkv, { heads: 2 }),
  "scaledDotProductAttention()": () => ops.scaledDotProductAttention(x, x, { v: y, heads: 2 }),
  "embedding()": () => ops.embedding(weight, ids),
  "crossEntropy()": () => ops.crossEntropy(x, labels),
  "binaryCrossEntropy()": () => ops.binaryCrossEntropy(x, y),
  "meanSquaredError()": () => ops.meanSquaredError(x, y),
  "dropout()": () => ops.dropout(x, { rate: 0.5, keys, site: 0 }),
  "where()": () => ops.where(column, { then: x, otherwise: y }),
  "gather()": () => ops.gather(x, index),
  "slice()": () => ops.slice(x, { axis: 1, start: 0, end: 1 }),
  "concat()": () => ops.concat([x, y]),
  "permute()": () => ops.permute(x, [2, 0, 1]),
  "broadcastTo()": () => ops.broadcastTo(column, [2, 3, 4]),
  "clone()": () => ops.clone(x),
};
for (const [name, operation] of Object.entries(operations)) {
  test(`${name} without a tape leaves only its result alive, even outside a tidy`, () => {
    const before = gpu.stats().liveBytes;
    const result = operation();
    assert.ok(gpu.stats().liveBytes > before);
    result.dispose();
    assert.equal(gpu.stats().liveBytes, before);
  });
}
