import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backward, mul, sum, tensor, tidy } from "../../../src/engine/mod.ts";
import { adaptersOf, attachAdapters, lora } from "../../../src/federa/mod.ts";
import { Bert, type Pooling, uploadParameters } from "../../../src/models/mod.ts";
import { classification, TaskModel } from "../../../src/tasks/mod.ts";
import { bitsOf, holds, run, testGpu, upload } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { bertPooled, bertStates } from "../../reference/bert.ts";
import { linear, matmul } from "../../reference/matmul.ts";
import {
  drawBertParameters,
  drawTexts,
  referenceParameters,
  tinyBertConfig,
  uploadTexts,
} from "../../support/bert.ts";
import { gaussian } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";

const gpu = await testGpu();
const config = tinyBertConfig();

/**
 * States are of order 1 after every normalisation, and each of some 20 operations in a row adds a few roundings of 6e-8
 * relative to the terms of its sums, which normalisation may magnify a few times.
 */
const tolerance = 1e-4;

function assertNear(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  assert.equal(actual.length, expected.length, what);
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    assert.ok(error <= tolerance, `${what}, element ${i}: ${actual[i]}, oracle ${expected[i]}`);
  }
}

test("Bert.encode() and pool() give the oracle's states and vectors, whatever the sizes, types and padding", async () => {
  const cases = fc.record({
    heads: fc.constantFrom(1, 2, 3),
    headSize: fc.constantFrom(1, 4, 5, 16),
    intermediateSize: fc.integer({ min: 1, max: 37 }),
    numHiddenLayers: fc.integer({ min: 1, max: 3 }),
    hiddenAct: fc.constantFrom("gelu", "gelu_new", "relu", "silu"),
    pooling: fc.constantFrom<Pooling>("mean", "cls", "pooler"),
    lengths: fc.array(fc.integer({ min: 1, max: 16 }), { minLength: 1, maxLength: 4 }),
    withTypes: fc.boolean(),
    seed: fc.nat(),
  });
  await holds(cases, async ({ heads, headSize, lengths, pooling, withTypes, seed, ...sizes }) => {
    // A width of 2 or less would be normalised to ±1, where a rounding may turn a sign.
    const width = Math.max(3 * heads, heads * headSize);
    const config = tinyBertConfig({
      ...sizes,
      hiddenAct: sizes.hiddenAct as "gelu",
      hiddenSize: width,
      numAttentionHeads: heads,
      layerNormEps: 1e-5,
    });
    const parameters = drawBertParameters(config, { seed, pooler: pooling === "pooler" });
    const reference = referenceParameters(parameters);
    const model = new Bert(uploadParameters(gpu, parameters), { config, pooling });
    const texts = drawTexts(config, lengths, seed).map(({ ids, types }) =>
      withTypes ? { ids, types } : { ids }
    );
    const tokens = uploadTexts(gpu, texts);
    const states = tidy(() => model.encode(tokens));
    const found = await states.floats();
    const vectors = await run(gpu, () => model.pool(states, tokens));
    const longest = Math.max(...lengths);
    for (const [i, text] of texts.entries()) {
      const expected = bertStates(reference, config, text);
      const from = i * longest * width;
      assertNear(found.subarray(from, from + expected.size), expected.data, `states of text ${i}`);
      const vector = bertPooled(reference, pooling, expected);
      assertNear(vectors.subarray(i * width, (i + 1) * width), vector.data, `vector of text ${i}`);
    }
    for (const each of [states, ...Object.values(tokens)]) each.dispose();
    for (const [, each] of model.namedParameters()) each.dispose();
  }, 15);
});

test("Bert gives the same bits whatever the padding, the padding's id and whoever is in the batch", async () => {
  const model = new Bert(uploadParameters(gpu, drawBertParameters(config, { seed: 2 })), { config });
  const [text, ...others] = drawTexts(config, [5, 9, 1], 3);
  const vectors = (tokens: ReturnType<typeof uploadTexts>) =>
    run(gpu, () => model.pool(model.encode(tokens), tokens));
  const alone = bitsOf(await vectors(uploadTexts(gpu, [text!])));
  const variants = [
    uploadTexts(gpu, [text!], { padTo: 16, padId: 0 }),
    uploadTexts(gpu, [text!], { padTo: 13, padId: 7 }),
    uploadTexts(gpu, [text!, ...others]),
    uploadTexts(gpu, [text!, ...others, others[0]!], { leading: [2, 2] }),
  ];
  for (const tokens of variants) {
    assert.deepEqual(bitsOf((await vectors(tokens)).slice(0, config.hiddenSize)), alone);
  }
});

test("Bert has the checkpoint's names, and takes them back", async () => {
  const parameters = drawBertParameters(config, { seed: 4, pooler: true });
  const model = new Bert(uploadParameters(gpu, parameters), { config });
  assert.deepEqual(
    [...model.namedParameters()].map(([name, { shape }]) => [name, shape]),
    [
      ...parameters,
    ].map(([name, { shape }]) => [name, shape]),
  );
  for (const [name, value] of model.namedParameters()) {
    assert.deepEqual(await value.floats(), parameters.get(name)!.data, name);
  }
  assert.equal(model.pooling, "pooler");
  assert.equal(
    new Bert(uploadParameters(gpu, drawBertParameters(config, { seed: 4 })), { config }).pooling,
    "mean",
  );
});

test("Bert refuses parameters that don't fit, a pooler it doesn't have, and texts of no or too many tokens", () => {
  const parameters = drawBertParameters(config, { seed: 4 });
  assert.throws(() => new Bert(uploadParameters(gpu, new Map()), { config }), {
    name: "ParameterMismatchError",
  });
  assert.throws(() => new Bert(uploadParameters(gpu, parameters), { config, pooling: "pooler" }), {
    name: "TypeError",
    message: /pooler\.dense/,
  });
  const model = new Bert(uploadParameters(gpu, parameters), { config });
  for (const padTo of [0, 17]) {
    const tokens = uploadTexts(gpu, drawTexts(config, [0], 1), { padTo });
    assert.throws(() => model.encode(tokens), { name: "RangeError", message: /1 to 16 tokens/ });
  }
});

test("Bert trains every parameter member by member as if alone", async () => {
  const parameters = drawBertParameters(config, { seed: 6 });
  const model = new Bert(uploadParameters(gpu, parameters), { config });
  const texts = drawTexts(config, [4, 6, 6, 3], 7);
  const random = new Random(8);
  // Two members whose every parameter differs.
  const shifted = new Map(
    [...parameters].map(([name, { shape, data }]) => [
      name,
      [0, 1].map(() => F64Array.fromF32(shape, data.map((value) => value + 0.1 * random.normal()))),
    ]),
  );
  const stacked = model.mapParameters((name) => {
    const [first, second] = shifted.get(name)!;
    return upload(gpu, F64Array.from([2, ...first!.shape], [...first!.data, ...second!.data]));
  });
  const together = uploadTexts(gpu, texts, { padTo: 6, leading: [2, 2] });
  const all = await run(gpu, () => stacked.pool(stacked.encode(together), together));
  const half = all.length / 2;
  for (const member of [0, 1]) {
    const own = model.mapParameters((name) => upload(gpu, shifted.get(name)![member]!));
    const tokens = uploadTexts(gpu, texts.slice(2 * member, 2 * member + 2), { padTo: 6 });
    const alone = await run(gpu, () => own.pool(own.encode(tokens), tokens));
    assert.deepEqual(bitsOf(all.slice(member * half, (member + 1) * half)), bitsOf(alone));
  }
});

test("Bert's LoRA gradients equal directional derivatives of the float64 oracle", async () => {
  const parameters = drawBertParameters(config, { seed: 9 });
  const task = classification({ labels: ["no", "yes", "maybe"] });
  const encoder = new Bert(uploadParameters(gpu, parameters), { config });
  const plain = TaskModel.create(gpu, encoder, { task, seed: 1 });
  const model = await attachAdapters(plain, {
    targets: ["**.attention.self.*", "**.attention.output.dense"],
    rank: 2,
    alpha: 6,
    initialization: lora,
    seed: 3,
  });
  const random = new Random(10);
  const names = [...adaptersOf(model).keys()];
  assert.equal(names.length, 8);
  const factors = new Map(
    names.flatMap((name) =>
      ["loraA", "loraB"].map((factor) => {
        const { shape } = adaptersOf(model).get(name)![factor as "loraA"];
        return [
          `${name}.${factor}`,
          F64Array.fromF32(shape, gaussian(shape, random).map((x) => 0.3 * x).data),
        ];
      })
    ),
  );
  const leaves = new Map([...factors].map(([name, value]) => [name, upload(gpu, value).requireGrad()]));
  const bound = model.mapParameters((name, each) => leaves.get(name) ?? each);
  const texts = drawTexts(config, [7, 3], 11);
  const head = F64Array.from([3, config.hiddenSize], await plain.head.output.weight.floats());
  const outputWeights = gaussian([2, 3], random);
  const oracle = (values: ReadonlyMap<string, F64Array>) => {
    const merged = referenceParameters(parameters);
    for (const name of names) {
      const key = `${name.slice("encoder.".length)}.weight`;
      const update = matmul(values.get(`${name}.loraB`)!, values.get(`${name}.loraA`)!);
      merged.set(key, merged.get(key)!.map((value, i) => value + 3 * update.data[i]!));
    }
    return texts.reduce((total, text, i) => {
      const vector = bertPooled(merged, "mean", bertStates(merged, config, text));
      const logits = linear(F64Array.from([1, config.hiddenSize], vector.data), head);
      return total + logits.data.reduce((part, value, k) => part + value * outputWeights.data[3 * i + k]!, 0);
    }, 0);
  };
  const tokens = uploadTexts(gpu, texts);
  const weights = tensor(gpu, Float32Array.from(outputWeights.data), { shape: [2, 3] });
  const gradients = tidy(() => backward(sum(mul(bound.forward(tokens), weights)), [...leaves.values()]));
  for (const [i, name] of [...leaves.keys()].entries()) {
    const value = factors.get(name)!;
    const gradient = await gradients[i]!.floats();
    for (let draw = 0; draw < 3; draw++) {
      const direction = gaussian(value.shape, random);
      const analytic = gradient.reduce((total, each, k) => total + each * direction.data[k]!, 0);
      // Central differences: the rule's error is of order step², that of rounding 1e-15/step; both are below 1e-9.
      const step = 1e-5;
      const at = (sign: number) =>
        oracle(new Map(factors).set(name, value.map((each, k) => each + sign * step * direction.data[k]!)));
      const numeric = (at(1) - at(-1)) / (2 * step);
      // Every element of a gradient is a sum of products of f32 intermediates, each right to a few 1e-7 of their norm.
      const scale = Math.hypot(...gradient) * Math.hypot(...direction.data);
      assert.ok(Math.abs(analytic - numeric) <= 1e-5 * scale, `${name}: ${analytic} against ${numeric}`);
    }
  }
});

test("an error in a layer of Bert names the layer as its parameters are named, with checkpointing and an adapter too", async () => {
  const encoder = new Bert(uploadParameters(gpu, drawBertParameters(config, { seed: 2 })), { config });
  const task = classification({ labels: ["a", "b"] });
  const model = TaskModel.create(gpu, encoder, { task, seed: 1 });
  const adapted = await attachAdapters(model, {
    targets: ["**.attention.self.query"],
    rank: 1,
    alpha: 1,
    initialization: lora,
  });
  const tokens = uploadTexts(gpu, drawTexts(config, [4], 3));
  const layer = "encoder.encoder.layer.1.attention.self.query";
  for (const each of [model, model.withCheckpointing(true), adapted]) {
    const broken = each.mapParameters((name, parameter) =>
      name === `${layer}.weight` ? tensor(gpu, new Float32Array(15), { shape: [5, 3] }) : parameter
    );
    assert.throws(() => tidy(() => broken.forward(tokens)), (error) => {
      assert.ok(error instanceof TypeError);
      assert.ok(error.message.endsWith(` (${layer})`), error.message);
      assert.ok(!error.message.slice(0, -1).includes(")"), "it says so once");
      return true;
    });
  }
});
