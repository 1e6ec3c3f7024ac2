import assert from "node:assert/strict";
import { test } from "node:test";
import { parseBertConfig } from "../../../src/models/mod.ts";

/** config.json of all-MiniLM-L6-v2, as published. */
const miniLm = {
  architectures: ["BertModel"],
  attention_probs_dropout_prob: 0.1,
  gradient_checkpointing: false,
  hidden_act: "gelu",
  hidden_dropout_prob: 0.1,
  hidden_size: 384,
  initializer_range: 0.02,
  intermediate_size: 1536,
  layer_norm_eps: 1e-12,
  max_position_embeddings: 512,
  model_type: "bert",
  num_attention_heads: 12,
  num_hidden_layers: 6,
  pad_token_id: 0,
  position_embedding_type: "absolute",
  transformers_version: "4.8.2",
  type_vocab_size: 2,
  use_cache: true,
  vocab_size: 30522,
};

test("parseBertConfig() reads a published configuration and passes over what doesn't matter", () => {
  assert.deepEqual(parseBertConfig(miniLm), {
    vocabSize: 30522,
    hiddenSize: 384,
    numHiddenLayers: 6,
    numAttentionHeads: 12,
    intermediateSize: 1536,
    hiddenAct: "gelu",
    maxPositionEmbeddings: 512,
    typeVocabSize: 2,
    layerNormEps: 1e-12,
    padTokenId: 0,
  });
});

test("parseBertConfig() takes BERT's own defaults where older files say nothing", () => {
  const { hidden_act: _act, layer_norm_eps: _eps, type_vocab_size: _types, ...older } = miniLm;
  const { hiddenAct, layerNormEps, typeVocabSize } = parseBertConfig({ ...older, pad_token_id: null });
  assert.deepEqual({ hiddenAct, layerNormEps, typeVocabSize }, {
    hiddenAct: "gelu",
    layerNormEps: 1e-12,
    typeVocabSize: 2,
  });
});

test("parseBertConfig() knows the names that one activation has", () => {
  // Those of transformers' ACT2FN that are one of ours, whatever computes them.
  const names = {
    gelu_python: "gelu",
    gelu_fast: "gelu_new",
    gelu_python_tanh: "gelu_new",
    gelu_pytorch_tanh: "gelu_new",
    swish: "silu",
    silu: "silu",
    relu: "relu",
  };
  for (const [name, expected] of Object.entries(names)) {
    assert.equal(parseBertConfig({ ...miniLm, hidden_act: name }).hiddenAct, expected);
  }
});

test("parseBertConfig() lists every field that is missing or wrong", () => {
  const { vocab_size: _, ...rest } = miniLm;
  assert.throws(
    () => parseBertConfig({ ...rest, hidden_size: -3, num_hidden_layers: "6" }),
    (error: Error) => {
      assert.equal(error.name, "ModelConfigError");
      for (const field of ["vocab_size", "hidden_size", "num_hidden_layers"]) {
        assert.match(error.message, new RegExp(`^  ${field}: `, "m"));
      }
      return true;
    },
  );
});

test("parseBertConfig() refuses what would change the numbers unseen", () => {
  const refused: [string, unknown][] = [
    ["model_type", "roberta"],
    ["position_embedding_type", "relative_key"],
    ["is_decoder", true],
    ["add_cross_attention", true],
    ["hidden_act", "quick_gelu"],
    ["num_attention_heads", 7],
    ["layer_norm_eps", 0],
    ["quantization_config", { quant_method: "bitsandbytes", load_in_4bit: true }],
    ["pruned_heads", { 0: [1, 2] }],
    ["auto_map", { AutoConfig: "configuration_jina.JinaConfig", AutoModel: "modeling_jina.JinaBert" }],
  ];
  for (const [field, value] of refused) {
    assert.throws(() => parseBertConfig({ ...miniLm, [field]: value }), {
      name: "ModelConfigError",
      message: new RegExp(`^  ${field}: `, "m"),
    });
  }
  for (const value of [null, "text", 3]) {
    assert.throws(() => parseBertConfig(value), { name: "ModelConfigError", message: /^ {2}it: /m });
  }
});
