import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRobertaConfig } from "../../../src/models/mod.ts";

/** config.json of roberta-base, as published. */
const base = {
  architectures: ["RobertaForMaskedLM"],
  attention_probs_dropout_prob: 0.1,
  bos_token_id: 0,
  eos_token_id: 2,
  hidden_act: "gelu",
  hidden_dropout_prob: 0.1,
  hidden_size: 768,
  initializer_range: 0.02,
  intermediate_size: 3072,
  layer_norm_eps: 1e-05,
  max_position_embeddings: 514,
  model_type: "roberta",
  num_attention_heads: 12,
  num_hidden_layers: 12,
  pad_token_id: 1,
  type_vocab_size: 1,
  vocab_size: 50265,
};

test("parseRobertaConfig() reads a published configuration, and XLM-RoBERTa's by its own name", () => {
  const expected = {
    vocabSize: 50265,
    hiddenSize: 768,
    numHiddenLayers: 12,
    numAttentionHeads: 12,
    intermediateSize: 3072,
    hiddenAct: "gelu",
    maxPositionEmbeddings: 514,
    typeVocabSize: 1,
    layerNormEps: 1e-5,
    padTokenId: 1,
  };
  assert.deepEqual(parseRobertaConfig(base), expected);
  const other = { ...base, model_type: "xlm-roberta", vocab_size: 250002 };
  assert.deepEqual(parseRobertaConfig(other, { modelType: "xlm-roberta" }), {
    ...expected,
    vocabSize: 250002,
  });
  assert.throws(() => parseRobertaConfig(other), { message: /^ {2}model_type: /m });
  assert.throws(() => parseRobertaConfig(base, { modelType: "xlm-roberta" }), { message: /XLM-RoBERTa/ });
});

test("parseRobertaConfig() refuses what would change the numbers, and positions that padding leaves none of", () => {
  const refused: [string, unknown][] = [
    ["position_embedding_type", "relative_key_query"],
    ["pad_token_id", null],
    ["max_position_embeddings", 2],
    ["num_attention_heads", 7],
    ["num_hidden_layers", 1001],
  ];
  for (const [field, value] of refused) {
    assert.throws(() => parseRobertaConfig({ ...base, [field]: value }), {
      name: "ModelConfigError",
      message: new RegExp(`^  ${field}: `, "m"),
    });
  }
});
