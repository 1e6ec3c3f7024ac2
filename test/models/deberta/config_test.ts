import assert from "node:assert/strict";
import { test } from "node:test";
import { debertaV2Family, encoderFamilies, parseDebertaV2Config } from "../../../src/models/mod.ts";

/** config.json of deberta-v3-base, as published. */
const v3 = {
  model_type: "deberta-v2",
  attention_probs_dropout_prob: 0.1,
  hidden_act: "gelu",
  hidden_dropout_prob: 0.1,
  hidden_size: 768,
  initializer_range: 0.02,
  intermediate_size: 3072,
  max_position_embeddings: 512,
  relative_attention: true,
  position_buckets: 256,
  norm_rel_ebd: "layer_norm",
  share_att_key: true,
  pos_att_type: "p2c|c2p",
  layer_norm_eps: 1e-7,
  max_relative_positions: -1,
  position_biased_input: false,
  num_attention_heads: 12,
  num_hidden_layers: 12,
  type_vocab_size: 0,
  vocab_size: 128100,
};

/** What deberta-v2-xlarge has otherwise. */
const xlarge = {
  ...v3,
  hidden_size: 1536,
  intermediate_size: 6144,
  num_attention_heads: 24,
  attention_head_size: 64,
  num_hidden_layers: 24,
  conv_kernel_size: 3,
  conv_act: "gelu",
};

test("parseDebertaV2Config() reads published configurations and passes over what doesn't matter", () => {
  const base = {
    vocabSize: 128100,
    hiddenSize: 768,
    numHiddenLayers: 12,
    numAttentionHeads: 12,
    intermediateSize: 3072,
    hiddenAct: "gelu",
    maxPositionEmbeddings: 512,
    layerNormEps: 1e-7,
    padTokenId: 0,
    typeVocabSize: 0,
    positionBiasedInput: false,
    posAttType: ["p2c", "c2p"],
    shareAttKey: true,
    maxRelativePositions: 512,
    positionBuckets: 256,
    normRelEbd: true,
    convolution: undefined,
    poolerHiddenAct: "gelu",
  };
  assert.deepEqual(parseDebertaV2Config(v3), base);
  assert.deepEqual(parseDebertaV2Config(xlarge), {
    ...base,
    hiddenSize: 1536,
    numHiddenLayers: 24,
    numAttentionHeads: 24,
    intermediateSize: 6144,
    convolution: { kernelSize: 3, activation: "gelu" },
  });
});

test("parseDebertaV2Config() takes DeBERTa's own defaults where files say nothing", () => {
  const {
    position_buckets: _buckets,
    norm_rel_ebd: _norm,
    share_att_key: _share,
    position_biased_input: _biased,
    max_relative_positions: _furthest,
    ...rest
  } = v3;
  const found = parseDebertaV2Config({
    ...rest,
    pos_att_type: ["c2p"],
    conv_kernel_size: 3,
    pad_token_id: null,
  });
  assert.deepEqual([found.positionBuckets, found.normRelEbd, found.shareAttKey], [undefined, false, false]);
  assert.deepEqual([found.positionBiasedInput, found.maxRelativePositions, found.padTokenId], [true, 512, 0]);
  assert.deepEqual(found.convolution, { kernelSize: 3, activation: "tanh" });
});

test("parseDebertaV2Config() refuses what would change the numbers unseen, and the first DeBERTa by name", () => {
  const refused: [string, unknown][] = [
    ["model_type", "deberta"],
    ["relative_attention", false],
    ["relative_attention", undefined],
    ["pos_att_type", "p2p|c2p"],
    ["pos_att_type", []],
    ["pos_att_type", undefined],
    ["norm_rel_ebd", "batch_norm"],
    ["position_buckets", 1],
    ["position_buckets", 1022],
    ["conv_kernel_size", 4],
    ["conv_groups", 2],
    ["conv_act", "silu"],
    ["embedding_size", 128],
    ["attention_head_size", 32],
    ["pooler_hidden_size", 5],
    ["pooler_hidden_act", "elu"],
    ["num_attention_heads", 7],
    ["is_decoder", true],
  ];
  for (const [field, value] of refused) {
    assert.throws(() => parseDebertaV2Config({ ...v3, [field]: value }), {
      name: "ModelConfigError",
      message: new RegExp(`^  ${field}(\\.\\d+)?: `, "m"),
    }, `${field} ${value}`);
  }
  assert.throws(
    () => parseDebertaV2Config({ ...v3, model_type: "deberta" }),
    /the first DeBERTa isn't supported/,
  );
  assert.equal(encoderFamilies.get("deberta-v2"), debertaV2Family);
  assert.equal(encoderFamilies.get("deberta"), undefined);
});

test("debertaV2Family.parameterShapes() counts 183,831,552 values of deberta-v3-base", () => {
  // Embeddings of words and their norm; 12 layers of 12·768² weights and 13·768 others; 512 distances and their norm.
  const layer = 12 * 768 ** 2 + 13 * 768;
  const expected = 128100 * 768 + 2 * 768 + 12 * layer + 512 * 768 + 2 * 768;
  assert.equal(expected, 183_831_552);
  const shapes = [...debertaV2Family.parameterShapes(parseDebertaV2Config(v3)).values()];
  assert.equal(shapes.reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0), expected);
});
