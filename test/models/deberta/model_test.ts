import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backward, mul, sum, type Tensor, tensor, tidy } from "../../../src/engine/mod.ts";
import { adaptersOf, attachAdapters, lora } from "../../../src/federa/mod.ts";
import {
  DebertaV2,
  type DebertaV2Config,
  debertaV2Family,
  loadEncoder,
  type TokenTensors,
  uploadParameters,
} from "../../../src/models/mod.ts";
import { bitsOf, holds, run, testGpu, upload } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { debertaStates } from "../../reference/deberta.ts";
import { matmul } from "../../reference/matmul.ts";
import { drawTexts, referenceParameters, uploadTexts } from "../../support/bert.ts";
import { drawDebertaParameters, tinyDebertaConfig } from "../../support/deberta.ts";
import { gaussian } from "../../support/matrices.ts";
import { memoryWeights, stored } from "../../support/memory_weights.ts";
import { Random } from "../../support/random.ts";

const gpu = await testGpu();
const config = tinyDebertaConfig();
const texts = (lengths: readonly number[], seed: number, { vocabSize, typeVocabSize } = config) =>
  drawTexts({ vocabSize, typeVocabSize: Math.max(1, typeVocabSize) }, lengths, seed);
const create = (config: DebertaV2Config, seed: number) =>
  new DebertaV2(uploadParameters(gpu, drawDebertaParameters(config, seed)), { config });

/** As for BERT: some 20 operations in a row on states of order 1, roundings of 6e-8, magnified by normalisations. */
const tolerance = 1e-4;

test("DebertaV2.encode() gives the oracle's states, whatever the sizes, kinds of positions and padding", async () => {
  const cases = fc.record({
    heads: fc.constantFrom(1, 2, 3),
    headSize: fc.constantFrom(1, 4, 5, 16),
    numHiddenLayers: fc.integer({ min: 1, max: 3 }),
    posAttType: fc.constantFrom<DebertaV2Config["posAttType"]>(["c2p"], ["p2c"], ["p2c", "c2p"]),
    shareAttKey: fc.boolean(),
    normRelEbd: fc.boolean(),
    positionBiasedInput: fc.boolean(),
    typeVocabSize: fc.constantFrom(0, 2),
    maxRelativePositions: fc.constantFrom(9, 14, 40),
    positionBuckets: fc.constantFrom(undefined, 2, 4, 6, 8),
    convolution: fc.constantFrom<DebertaV2Config["convolution"]>(
      undefined,
      undefined,
      { kernelSize: 3, activation: "gelu" },
      { kernelSize: 5, activation: "tanh" },
    ),
    lengths: fc.array(fc.integer({ min: 1, max: 24 }), { minLength: 1, maxLength: 3 }),
    seed: fc.nat(),
  });
  await holds(cases, async ({ heads, headSize, lengths, seed, ...sizes }) => {
    // A width of 2 or less would be normalised to ±1, where a rounding may turn a sign.
    const width = Math.max(3 * heads, heads * headSize);
    const config = tinyDebertaConfig({
      ...sizes,
      hiddenSize: width,
      numAttentionHeads: heads,
      layerNormEps: 1e-5,
    });
    const parameters = drawDebertaParameters(config, seed);
    const model = new DebertaV2(uploadParameters(gpu, parameters), { config });
    const drawn = texts(lengths, seed, config);
    const tokens = uploadTexts(gpu, drawn);
    const found = await run(gpu, () => model.encode(tokens));
    const longest = Math.max(...lengths);
    for (const [i, text] of drawn.entries()) {
      const expected = debertaStates(referenceParameters(parameters), config, text);
      expected.data.forEach((value, k) => {
        const error = Math.abs(found[i * longest * width + k]! - value);
        assert.ok(error <= tolerance, `text ${i}, element ${k}: off by ${error}`);
      });
    }
    for (const each of Object.values(tokens)) each.dispose();
    for (const [, each] of model.namedParameters()) each.dispose();
  }, 15);
});

test("DebertaV2 gives the same bits whatever the padding, the padding's id and whoever is in the batch", async () => {
  const convolution = { kernelSize: 3, activation: "gelu" } as const;
  for (const config of [tinyDebertaConfig(), tinyDebertaConfig({ convolution })]) {
    const model = create(config, 2);
    const [text, ...others] = texts([5, 17, 1], 3);
    const states = async (tokens: TokenTensors) =>
      bitsOf((await run(gpu, () => model.encode(tokens))).slice(0, 5 * config.hiddenSize));
    const alone = await states(uploadTexts(gpu, [text!]));
    const variants = [
      uploadTexts(gpu, [text!], { padTo: 24, padId: 0 }),
      uploadTexts(gpu, [text!], { padTo: 13, padId: 7 }),
      uploadTexts(gpu, [text!, ...others]),
      uploadTexts(gpu, [text!, ...others, others[0]!], { leading: [2, 2] }),
    ];
    for (const tokens of variants) assert.deepEqual(await states(tokens), alone);
  }
});

test("DebertaV2 has the checkpoint's names, and a head of gelu", () => {
  const shared = [...create(config, 4).namedParameters()].map(([name]) => name);
  assert.deepEqual(shared.filter((name) => !name.startsWith("encoder.layer.")), [
    "embeddings.word_embeddings.weight",
    "embeddings.LayerNorm.weight",
    "embeddings.LayerNorm.bias",
    "encoder.rel_embeddings.weight",
    "encoder.LayerNorm.weight",
    "encoder.LayerNorm.bias",
  ]);
  const other = create(
    tinyDebertaConfig({
      shareAttKey: false,
      normRelEbd: false,
      positionBiasedInput: true,
      typeVocabSize: 2,
      convolution: { kernelSize: 3, activation: "gelu" },
    }),
    4,
  );
  const names = [...other.namedParameters()].map(([name]) => name);
  for (
    const name of [
      "embeddings.position_embeddings.weight",
      "embeddings.token_type_embeddings.weight",
      "encoder.layer.1.attention.self.pos_key_proj.weight",
      "encoder.layer.1.attention.self.pos_query_proj.bias",
      "encoder.conv.conv.weight",
      "encoder.conv.LayerNorm.bias",
    ]
  ) assert.ok(names.includes(name), name);
  assert.equal(other.headActivation, "gelu");
});

test("loadEncoder() reads a DeBERTa, and leaves pretraining's heads and the embeddings of positions that it goes without", async () => {
  const parameters = drawDebertaParameters(config, 5);
  const shape = [24, 12];
  const extra = [
    "deberta.embeddings.position_embeddings.weight",
    "lm_predictions.lm_head.bias",
    "mask_predictions.dense.weight",
    "pooler.dense.weight",
    "classifier.bias",
  ];
  const tensors = stored(parameters, (name) => `deberta.${name}`);
  for (const name of extra) tensors.set(name, { dtype: "F32", shape, data: new Float32Array(24 * 12) });
  const load = (config: DebertaV2Config) =>
    loadEncoder(gpu, memoryWeights(tensors), { family: debertaV2Family, config });
  const { encoder, skipped } = await load(config);
  assert.deepEqual(skipped, extra);
  for (const [name, each] of encoder.namedParameters()) {
    assert.deepEqual(await each.floats(), parameters.get(name)!.data, name);
  }
  assert.deepEqual((await load({ ...config, positionBiasedInput: true })).skipped, extra.slice(1));
});

test("DebertaV2 refuses parameters that don't fit, a pooler, and texts of no or too many tokens", () => {
  const parameters = uploadParameters(gpu, drawDebertaParameters(config, 4));
  parameters.delete("encoder.rel_embeddings.weight");
  assert.throws(() => new DebertaV2(parameters, { config }), {
    name: "ParameterMismatchError",
    message: /encoder\.rel_embeddings\.weight \[12, 12\] is missing/,
  });
  assert.throws(() => new DebertaV2(parameters, { config, pooling: "pooler" }), { name: "TypeError" });
  const model = create(config, 4);
  for (const padTo of [0, 25]) {
    const tokens = uploadTexts(gpu, texts([0], 1), { padTo });
    assert.throws(() => model.encode(tokens), { name: "RangeError", message: /1 to 24 tokens/ });
  }
});

/** Gradients of a random sum of states by leaves, which are parameters of the model. */
function gradientsOf(model: DebertaV2, tokens: TokenTensors, leaves: readonly Tensor[]): Tensor[] {
  return tidy(() => {
    const states = model.encode(tokens);
    const weights = gaussian(states.shape.slice(-2), new Random(31));
    return backward(sum(mul(states, upload(gpu, weights))), leaves);
  });
}

for (
  const [which, chosen] of [
    ["every parameter", () => true],
    ["biases", (name: string) => name.endsWith("bias")],
    ["one value projection", (name: string) => name.includes("0.attention.self.value_proj")],
    ["embeddings of distances", (name: string) => name.startsWith("encoder.rel_embeddings")],
    ["key projections", (name: string) => name.includes("key_proj.weight")],
  ] as const
) {
  test(`DebertaV2 trains ${which} member by member as if alone`, async () => {
    const config = tinyDebertaConfig({
      convolution: { kernelSize: 3, activation: "gelu" },
      typeVocabSize: 2,
    });
    const parameters = drawDebertaParameters(config, 6);
    const model = new DebertaV2(uploadParameters(gpu, parameters), { config });
    const drawn = texts([4, 20, 6, 3], 7, config);
    const random = new Random(8);
    const own = new Map(
      [...parameters].filter(([name]) => chosen(name)).map(([name, { shape, data }]) => [
        name,
        [0, 1].map(() => F64Array.fromF32(shape, data.map((value) => value + 0.1 * random.normal()))),
      ]),
    );
    const bound = (make: (members: readonly F64Array[]) => Tensor) => {
      const leaves = new Map([...own].map(([name, members]) => [name, make(members).requireGrad()]));
      return {
        leaves: [...leaves.values()],
        model: model.mapParameters((name, each) => leaves.get(name) ?? each),
      };
    };
    const stack = (members: readonly F64Array[]) =>
      upload(
        gpu,
        F64Array.from([members.length, ...members[0]!.shape], members.flatMap(({ data }) => [...data])),
      );
    const all = bound(stack);
    const together = uploadTexts(gpu, drawn, { padTo: 20, leading: [2, 2] });
    const states = await run(gpu, () => all.model.encode(together));
    const gradients = gradientsOf(all.model, together, all.leaves);
    for (const member of [0, 1]) {
      const alone = bound((members) => stack([members[member]!]));
      const tokens = uploadTexts(gpu, drawn.slice(2 * member, 2 * member + 2), {
        padTo: 20,
        leading: [1, 2],
      });
      const part = (values: Float32Array) =>
        bitsOf(values.slice(member * values.length / 2, (member + 1) * values.length / 2));
      assert.deepEqual(part(states), bitsOf(await run(gpu, () => alone.model.encode(tokens))));
      const expected = gradientsOf(alone.model, tokens, alone.leaves);
      for (const [i, name] of [...own.keys()].entries()) {
        assert.deepEqual(part(await gradients[i]!.floats()), bitsOf(await expected[i]!.floats()), name);
      }
    }
  });
}

test("DebertaV2 gives gradients of the same bits with checkpointing", async () => {
  const config = tinyDebertaConfig({
    convolution: { kernelSize: 3, activation: "tanh" },
    numHiddenLayers: 3,
  });
  const parameters = uploadParameters(gpu, drawDebertaParameters(config, 12));
  const leaves = [...parameters.values()].map((each) => each.requireGrad());
  const model = new DebertaV2(parameters, { config });
  const tokens = uploadTexts(gpu, texts([9, 21], 5));
  const plain = gradientsOf(model, tokens, leaves);
  const checkpointed = gradientsOf(model.withCheckpointing(true), tokens, leaves);
  for (const [i, name] of [...parameters.keys()].entries()) {
    assert.deepEqual(bitsOf(await checkpointed[i]!.floats()), bitsOf(await plain[i]!.floats()), name);
  }
});

test("DebertaV2's LoRA gradients equal directional derivatives of the float64 oracle", async () => {
  const config = tinyDebertaConfig({ hiddenAct: "gelu", convolution: { kernelSize: 3, activation: "gelu" } });
  const parameters = drawDebertaParameters(config, 9);
  const plain = new DebertaV2(uploadParameters(gpu, parameters), { config });
  const model = await attachAdapters(plain, {
    targets: plain.adapterTargets,
    rank: 2,
    alpha: 6,
    initialization: lora,
    seed: 3,
  });
  const random = new Random(10);
  const names = [...adaptersOf(model).keys()];
  assert.equal(names.length, 12);
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
  const drawn = texts([19, 3], 11);
  // What padding weighs is 0.
  const weights = F64Array.fromF32([2, 19, 12], gaussian([2, 19, 12], random).data).map((value, i) =>
    i < 22 * 12 ? value : 0
  );
  const oracle = (values: ReadonlyMap<string, F64Array>) => {
    const merged = referenceParameters(parameters);
    for (const name of names) {
      const update = matmul(values.get(`${name}.loraB`)!, values.get(`${name}.loraA`)!);
      merged.set(
        `${name}.weight`,
        merged.get(`${name}.weight`)!.map((value, i) => value + 3 * update.data[i]!),
      );
    }
    return drawn.reduce((total, text, i) => {
      const { data } = debertaStates(merged, config, text);
      return data.reduce((part, value, k) => part + value * weights.data[i * 19 * 12 + k]!, total);
    }, 0);
  };
  const tokens = uploadTexts(gpu, drawn);
  const gradients = tidy(() =>
    backward(sum(mul(bound.encode(tokens), tensor(gpu, Float32Array.from(weights.data), weights))), [
      ...leaves.values(),
    ])
  );
  for (const [i, name] of [...leaves.keys()].entries()) {
    const value = factors.get(name)!;
    const gradient = await gradients[i]!.floats();
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
});
