import assert from "node:assert/strict";
import { test } from "node:test";
import { assign, tensor } from "../../../src/engine/mod.ts";
import { embedExamples, type TaskSet } from "../../../src/tasks/mod.ts";
import type { TokenColumns } from "../../../src/models/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { TinyEncoder, tinyTask } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const encoder = new TinyEncoder(gpu);
const set = tinyTask({ size: 37, length: 5 });

/** The mean of a row's states over its tokens, in float64. */
async function meanState({ inputs, length }: TaskSet, row: number): Promise<number[]> {
  const { inputIds: { data: inputIds }, attentionMask: { data: attentionMask } } = inputs as TokenColumns;
  const part = (data: Uint32Array | Float32Array) =>
    tensor(gpu, data.slice(row * length, (row + 1) * length), { shape: [1, length] });
  const tokens = { inputIds: part(inputIds), attentionMask: part(attentionMask) };
  const states = await encoder.encode(tokens).floats();
  const mask = attentionMask.subarray(row * length, (row + 1) * length);
  const count = mask.reduce((a, b) => a + b);
  return Array.from(
    { length: encoder.hiddenSize },
    (_, d) => mask.reduce((sum, on, t) => sum + on * states[t * encoder.hiddenSize + d]!, 0) / count,
  );
}

test("embedExamples() gives each example the mean state of its tokens, whatever the batch size", async () => {
  const progress: number[] = [];
  const { data, size } = await embedExamples(encoder, set, {
    batchSize: 10,
    onProgress: (done, total) => progress.push(done, total),
  });
  assert.equal(size, 6);
  assert.deepEqual(progress, [10, 37, 20, 37, 30, 37, 37, 37]);
  for (let row = 0; row < set.size; row++) {
    // A sum of at most 5 states of a few units in f32: 5 · 2⁻²⁴ of their size.
    (await meanState(set, row)).forEach((expected, d) =>
      assert.ok(
        Math.abs(data[row * size + d]! - expected) <= 2e-6,
        `row ${row}: ${data[row * size + d]} ${expected}`,
      )
    );
  }
  for (const batchSize of [1, undefined]) {
    assert.deepEqual((await embedExamples(encoder, set, { batchSize })).data, data);
  }
});

test("embedExamples() takes the mean over the rows of an example", async () => {
  const { data: rows, size } = await embedExamples(encoder, set);
  const windows = { ...set, numExamples: 2, firstRows: Uint32Array.of(0, 3, 37) };
  const { data } = await embedExamples(encoder, windows);
  assert.equal(data.length, 2 * size);
  for (let d = 0; d < size; d++) {
    assert.equal(data[d], (rows[d]! + rows[size + d]! + rows[2 * size + d]!) / 3);
  }
});

test("embedExamples() refuses examples without rows, and states that aren't finite", async () => {
  await assert.rejects(
    embedExamples(encoder, { ...set, numExamples: 2, firstRows: Uint32Array.of(0, 37, 37) }),
    {
      name: "RangeError",
      message: "Cannot embed example 1: expected at least one row of tokens, got none",
    },
  );
  const broken = new TinyEncoder(gpu);
  assign(broken.outer.bias!, tensor(gpu, [NaN, 0, 0, 0, 0, 0], { shape: [6] }));
  await assert.rejects(embedExamples(broken, set), {
    name: "NonFiniteError",
    message: /example 0: .* got NaN/,
  });
});
