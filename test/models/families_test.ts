import assert from "node:assert/strict";
import { test } from "node:test";
import { sizeOf } from "../../src/engine/mod.ts";
import { matchLinears } from "../../src/federa/mod.ts";
import { type Backbone, encoderFamilies, randomParameters, uploadParameters } from "../../src/models/mod.ts";
import { bitsOf, run, testGpu, upload } from "../engine/harness.ts";
import { F64Array } from "../reference/array.ts";
import { drawParameters, drawTexts, uploadTexts } from "../support/bert.ts";
import { Random } from "../support/random.ts";

const gpu = await testGpu();

const sizes = {
  vocab_size: 23,
  hidden_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  intermediate_size: 19,
  max_position_embeddings: 20,
  type_vocab_size: 2,
};
/** A small configuration of each family. */
const configs: Readonly<Record<string, object>> = {
  bert: sizes,
  roberta: sizes,
  "xlm-roberta": sizes,
  electra: { ...sizes, embedding_size: 7 },
  distilbert: {
    vocab_size: 23,
    dim: 12,
    n_layers: 2,
    n_heads: 3,
    hidden_dim: 19,
    max_position_embeddings: 20,
  },
  "deberta-v2": { ...sizes, relative_attention: true, pos_att_type: "c2p|p2c", position_buckets: 4 },
};

test("encoderFamilies are those that these tests know", () => {
  assert.deepEqual([...encoderFamilies.keys()].sort(), Object.keys(configs).sort());
});

test("EncoderFamily.parameterShapes() counts the values that published encoders have", () => {
  // Counted by transformers from its own models of these sizes, without poolers.
  const base = {
    ...sizes,
    hidden_size: 768,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    intermediate_size: 3072,
  };
  const published: [string, object, number][] = [
    [
      "roberta",
      { ...base, vocab_size: 50265, max_position_embeddings: 514, type_vocab_size: 1 },
      124_055_040,
    ],
    [
      "distilbert",
      {
        vocab_size: 30522,
        dim: 768,
        n_layers: 6,
        n_heads: 12,
        hidden_dim: 3072,
        max_position_embeddings: 512,
      },
      66_362_880,
    ],
    [
      "electra",
      {
        vocab_size: 30522,
        embedding_size: 128,
        hidden_size: 256,
        num_hidden_layers: 12,
        num_attention_heads: 4,
        intermediate_size: 1024,
        max_position_embeddings: 512,
      },
      13_483_008,
    ],
  ];
  for (const [modelType, json, count] of published) {
    const family = encoderFamilies.get(modelType)!;
    const shapes = family.parameterShapes(family.parseConfig(json));
    assert.equal([...shapes.values()].reduce((sum, shape) => sum + sizeOf(shape), 0), count, modelType);
  }
});

test("RoBERTa with one kind of tokens, and DistilBERT with none, don't tell a text's parts apart", async () => {
  for (
    const [modelType, json] of [["roberta", { ...sizes, type_vocab_size: 1 }], [
      "distilbert",
      configs.distilbert,
    ]]
  ) {
    const family = encoderFamilies.get(modelType as string)!;
    const config = family.parseConfig(json);
    const parameters = drawParameters(family.parameterShapes(config), { seed: 3 });
    const encoder = family.create(uploadParameters(gpu, parameters), config);
    const { tokenTypeIds, ...tokens } = uploadTexts(
      gpu,
      drawTexts({ vocabSize: 23, typeVocabSize: 2 }, [6], 4),
    );
    const plain = await run(gpu, () => encoder.encode(tokens));
    assert.deepEqual(
      bitsOf(await run(gpu, () => encoder.encode({ ...tokens, tokenTypeIds: tokenTypeIds! }))),
      bitsOf(plain),
    );
  }
});

for (const [modelType, json] of Object.entries(configs)) {
  const family = encoderFamilies.get(modelType)!;
  const config = family.parseConfig(json);
  const shapes = family.parameterShapes(config);
  const parameters = drawParameters(shapes, { seed: 3 });
  const vectors = (encoder: Backbone, tokens: ReturnType<typeof uploadTexts>) =>
    run(gpu, () => encoder.pool(encoder.encode(tokens), tokens));
  const texts = drawTexts({ vocabSize: 23, typeVocabSize: 2 }, [5, 9, 1, 7], 4);

  test(`${modelType}: an encoder has its family's parameters in order, and refuses others`, async () => {
    const encoder = family.create(uploadParameters(gpu, parameters), config);
    assert.deepEqual(
      [...encoder.namedParameters()].map(([name, { shape }]) => [name, shape]),
      [...shapes].map(([name, shape]) => [name, shape]),
    );
    for (const [name, each] of encoder.namedParameters()) {
      assert.deepEqual(await each.floats(), parameters.get(name)!.data, name);
    }
    assert.throws(() => family.create(new Map(), config), { name: "ParameterMismatchError" });
    assert.throws(() => family.create(uploadParameters(gpu, parameters), config, { pooling: "pooler" }), {
      name: "TypeError",
      message: /pooler/,
    });
  });

  test(`${modelType}: the targets of adapters are the linear layers of the transformer layers, all of them`, () => {
    const encoder = family.create(uploadParameters(gpu, parameters), config);
    const expected = [...shapes].filter(([name, { length }]) =>
      /\.layer\.\d+\..*\.weight$/.test(name) && length === 2
    )
      .map(([name]) => name.replace(/\.weight$/, ""));
    assert.deepEqual(matchLinears(encoder, encoder.adapterTargets), expected);
    assert.ok(expected.length >= 12);
  });

  test(`${modelType}: a text's bits don't depend on padding, nor on who is in the batch`, async () => {
    const encoder = family.create(uploadParameters(gpu, parameters), config);
    const [text, ...others] = texts;
    const padId = config.padTokenId;
    const alone = bitsOf(await vectors(encoder, uploadTexts(gpu, [text!])));
    const variants = [
      uploadTexts(gpu, [text!], { padTo: 16, padId }),
      uploadTexts(gpu, [text!], { padTo: 13, padId: 7 }),
      uploadTexts(gpu, [text!, ...others], { padId }),
      uploadTexts(gpu, [text!, ...others], { padId, leading: [2, 2] }),
    ];
    for (const tokens of variants) {
      assert.deepEqual(bitsOf((await vectors(encoder, tokens)).slice(0, 12)), alone);
    }
  });

  test(`${modelType}: members of the client axis, whose every parameter differs, are as if alone`, async () => {
    const encoder = family.create(uploadParameters(gpu, parameters), config);
    const random = new Random(8);
    const shifted = new Map(
      [...parameters].map(([name, { shape, data }]) => [
        name,
        [0, 1].map(() => F64Array.fromF32(shape, data.map((value) => value + 0.1 * random.normal()))),
      ]),
    );
    const stacked = encoder.mapParameters((name) => {
      const [first, second] = shifted.get(name)!;
      return upload(gpu, F64Array.from([2, ...first!.shape], [...first!.data, ...second!.data]));
    });
    const all = await vectors(stacked, uploadTexts(gpu, texts, { padTo: 9, leading: [2, 2] }));
    const half = all.length / 2;
    for (const member of [0, 1]) {
      const own = encoder.mapParameters((name) => upload(gpu, shifted.get(name)![member]!));
      const tokens = uploadTexts(gpu, texts.slice(2 * member, 2 * member + 2), { padTo: 9 });
      const alone = await vectors(own, tokens);
      assert.deepEqual(bitsOf(all.slice(member * half, (member + 1) * half)), bitsOf(alone));
    }
  });

  test(`${modelType}: tokens without embeddings are refused by row and place`, () => {
    const encoder = family.create(
      uploadParameters(gpu, randomParameters(shapes, { seed: 1, name: modelType })),
      config,
    );
    const column = (...data: number[]) => ({ data: Uint32Array.from(data), shape: [2], perToken: true });
    const rows = { inputIds: column(1, 2, 22, 0), tokenTypeIds: column(0, 1, 1, 0) };
    encoder.checkInputs(rows);
    assert.throws(() => encoder.checkInputs({ ...rows, inputIds: column(1, 2, 3, 23) }), {
      name: "RangeError",
      message: /^Cannot encode row 1: token 1 has the id 23, and the encoder has embeddings for 0 to 22; /,
    });
    const beyond = () => encoder.checkInputs({ ...rows, tokenTypeIds: column(0, 2, 0, 0) });
    // DistilBERT knows no types.
    if (modelType === "distilbert") beyond();
    else {assert.throws(beyond, {
        message: /row 0: token 1 has the type 2, and the encoder has embeddings for 0 to 1/,
      });}
  });

  test(`${modelType}: configurations of quantized, pruned or foreign models are refused by field`, () => {
    const refused = {
      quantization_config: { quant_method: "gptq" },
      pruned_heads: { 1: [0] },
      auto_map: { AutoModel: "modeling.Model" },
    };
    for (const [field, value] of Object.entries(refused)) {
      assert.throws(() => family.parseConfig({ ...configs[modelType], [field]: value }), {
        name: "ModelConfigError",
        message: new RegExp(`^  ${field}: `, "m"),
      });
    }
    const innocent = { quantization_config: null, pruned_heads: {}, auto_map: { AutoConfig: "a.Config" } };
    assert.deepEqual(family.parseConfig({ ...configs[modelType], ...innocent }), config);
  });

  test(`${modelType}: texts of no or too many tokens are refused`, () => {
    const encoder = family.create(
      uploadParameters(gpu, randomParameters(shapes, { seed: 1, name: modelType })),
      config,
    );
    const positions = modelType.endsWith("roberta") ? 18 : 20;
    assert.equal(encoder.maxTokens, positions);
    for (const padTo of [0, positions + 1]) {
      const tokens = uploadTexts(gpu, drawTexts({ vocabSize: 23, typeVocabSize: 2 }, [0], 1), { padTo });
      assert.throws(() => encoder.encode(tokens), { name: "RangeError", message: /tokens/ });
    }
  });
}
