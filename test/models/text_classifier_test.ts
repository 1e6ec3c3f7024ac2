import assert from "node:assert/strict";
import { test } from "node:test";
import { assign, tensor } from "../../src/engine/mod.ts";
import { TextClassifier } from "../../src/models/text_classifier.ts";
import { bitsOf, run, testGpu } from "../engine/harness.ts";
import { TinyEncoder, tinyTask } from "../support/tiny_encoder.ts";
import { tinyLogits, tinyParameters } from "../support/tiny_oracle.ts";

const gpu = await testGpu();
const labels = ["ham", "spam", "list"];

test("TextClassifier.create() draws a normal head of deviation 0.02 by its seed, and a zero bias", async () => {
  const encoder = new TinyEncoder(gpu, { width: 300, inner: 2 });
  const create = (seed: number) => TextClassifier.create(gpu, encoder, { labels, seed });
  const { head, encoder: kept } = create(1);
  assert.ok(kept === encoder);
  assert.deepEqual(head.weight.shape, [3, 300]);
  assert.deepEqual(await head.bias!.floats(), new Float32Array(3));
  const weights = await head.weight.floats();
  const n = weights.length;
  const mean = weights.reduce((total, value) => total + value, 0) / n;
  const variance = weights.reduce((total, value) => total + value * value, 0) / n;
  // Five standard errors: deviation/√n of the mean, √(2/n) of the variance.
  assert.ok(Math.abs(mean) <= 5 * 0.02 / Math.sqrt(n), `mean ${mean}`);
  assert.ok(Math.abs(variance / 0.02 ** 2 - 1) <= 5 * Math.sqrt(2 / n), `variance ${variance}`);
  assert.deepEqual(await create(1).head.weight.floats(), weights);
  assert.notDeepEqual(await create(2).head.weight.floats(), weights);
});

test("TextClassifier.create() refuses fewer than two labels, and a label named twice", () => {
  const encoder = new TinyEncoder(gpu);
  for (const few of [[], ["ham"]]) {
    assert.throws(() => TextClassifier.create(gpu, encoder, { labels: few, seed: 1 }), {
      name: "RangeError",
      message: /at least 2/,
    });
  }
  const twice = { labels: ["ham", "spam", "ham"], seed: 1 };
  assert.throws(() => TextClassifier.create(gpu, encoder, twice), {
    name: "TypeError",
    message: /ham, spam, ham.*twice/,
  });
});

test("TextClassifier.labelId() is the place of a label among the logits, and names those there are", () => {
  const model = TextClassifier.create(gpu, new TinyEncoder(gpu), { labels, seed: 1 });
  assert.deepEqual(labels.map((label) => model.labelId(label)), [0, 1, 2]);
  assert.throws(() => model.labelId("Spam"), {
    name: "RangeError",
    message: 'Cannot use label "Spam": the head knows ham, spam, list',
  });
});

test("TextClassifier.forward() gives the oracle's logits, the same bits with and without the member axis", async () => {
  const model = TextClassifier.create(gpu, new TinyEncoder(gpu), { labels, seed: 1 });
  assign(
    model.head.weight,
    tensor(gpu, Array.from({ length: 18 }, (_, i) => Math.sin(i * i)), { shape: [3, 6] }),
  );
  const data = tinyTask({ size: 6, length: 5 });
  const parameters = await tinyParameters(model);
  const forward = (leading: readonly number[]) =>
    run(
      gpu,
      () =>
        model.forward({
          ids: tensor(gpu, data.ids, { shape: [...leading, 5] }),
          mask: tensor(gpu, data.mask, { shape: [...leading, 5] }),
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

test("TextClassifier is made of named parameters that its copies replace", () => {
  const model = TextClassifier.create(gpu, new TinyEncoder(gpu), { labels, seed: 1 });
  const names = [...model.namedParameters()].map(([name]) => name);
  const affine = (name: string) => [`${name}.weight`, `${name}.bias`];
  assert.deepEqual(names, [
    "encoder.embedding.weight",
    ...["encoder.norm", "encoder.inner", "encoder.outer", "head"].flatMap(affine),
  ]);
  const bias = tensor(gpu, [1, 2, 3]);
  const copy = model.mapParameters((name, each) => name === "head.bias" ? bias : each);
  assert.ok(copy instanceof TextClassifier && copy.head.bias === bias && model.head.bias !== bias);
  assert.ok(copy.head.weight === model.head.weight);
  assert.deepEqual(copy.labels, labels);
});
