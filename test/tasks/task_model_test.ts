import assert from "node:assert/strict";
import { test } from "node:test";
import { assign, tensor } from "../../src/engine/mod.ts";
import { classification, TaskModel } from "../../src/tasks/mod.ts";
import { bitsOf, run, testGpu } from "../engine/harness.ts";
import { TinyEncoder, tinyTask } from "../support/tiny_encoder.ts";
import { tinyLogits, tinyParameters } from "../support/tiny_oracle.ts";

const gpu = await testGpu();
const task = classification({ labels: ["ham", "spam", "list"] });

test("TaskModel.create() draws a normal head of deviation 0.02 by its seed, and a zero bias", async () => {
  const encoder = new TinyEncoder(gpu, { width: 300, inner: 2 });
  const create = (seed: number) => TaskModel.create(gpu, encoder, { task, seed });
  const { head, encoder: kept } = create(1);
  assert.ok(kept === encoder);
  assert.deepEqual(head.output.weight.shape, [3, 300]);
  assert.deepEqual(await head.output.bias!.floats(), new Float32Array(3));
  const weights = await head.output.weight.floats();
  const n = weights.length;
  const mean = weights.reduce((total, value) => total + value, 0) / n;
  const variance = weights.reduce((total, value) => total + value * value, 0) / n;
  // Five standard errors: deviation/√n of the mean, √(2/n) of the variance.
  assert.ok(Math.abs(mean) <= 5 * 0.02 / Math.sqrt(n), `mean ${mean}`);
  assert.ok(Math.abs(variance / 0.02 ** 2 - 1) <= 5 * Math.sqrt(2 / n), `variance ${variance}`);
  assert.deepEqual(await create(1).head.output.weight.floats(), weights);
  assert.notDeepEqual(await create(2).head.output.weight.floats(), weights);
});

test("TaskModel.forward() gives the oracle's logits, the same bits with and without the member axis", async () => {
  const model = TaskModel.create(gpu, new TinyEncoder(gpu), { task, seed: 1 });
  assign(
    model.head.output.weight,
    tensor(gpu, Array.from({ length: 18 }, (_, i) => Math.sin(i * i)), { shape: [3, 6] }),
  );
  const data = tinyTask({ size: 6, length: 5 });
  const parameters = await tinyParameters(model);
  const forward = (leading: readonly number[]) =>
    run(
      gpu,
      () =>
        model.forward({
          inputIds: tensor(gpu, data.inputs.inputIds!.data, { shape: [...leading, 5] }),
          attentionMask: tensor(gpu, data.inputs.attentionMask!.data, { shape: [...leading, 5] }),
        }),
    );
  const logits = await forward([6]);
  for (let i = 0; i < 6; i++) {
    for (const [k, expected] of tinyLogits(parameters, data, i).entries()) {
      // Logits of a few units after some 30 f32 roundings of terms as large: 4·30·2⁻²⁴ = 7e-6.
      assert.ok(
        Math.abs(logits[3 * i + k]! - expected) <= 7e-6,
        `text ${i}: ${logits[3 * i + k]}, oracle ${expected}`,
      );
    }
  }
  assert.deepEqual(bitsOf(await forward([2, 3])), bitsOf(logits));
});

test("TaskModel is made of named parameters that its copies replace", () => {
  const model = TaskModel.create(gpu, new TinyEncoder(gpu), { task, seed: 1 });
  const names = [...model.namedParameters()].map(([name]) => name);
  const affine = (name: string) => [`${name}.weight`, `${name}.bias`];
  assert.deepEqual(names, [
    "encoder.embedding.weight",
    ...["encoder.norm", "encoder.inner", "encoder.outer", "head.output"].flatMap(affine),
  ]);
  const bias = tensor(gpu, [1, 2, 3]);
  const copy = model.mapParameters((name, each) => name === "head.output.bias" ? bias : each);
  assert.ok(copy instanceof TaskModel && copy.head.output.bias === bias && model.head.output.bias !== bias);
  assert.ok(copy.head.output.weight === model.head.output.weight);
  assert.ok(copy.task === task);
});
