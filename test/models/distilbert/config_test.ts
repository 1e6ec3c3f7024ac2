import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDistilBertConfig } from "../../../src/models/mod.ts";

/** config.json of distilbert-base-uncased, as published. */
const base = {
  activation: "gelu",
  architectures: ["DistilBertForMaskedLM"],
  attention_dropout: 0.1,
  dim: 768,
  dropout: 0.1,
  hidden_dim: 3072,
  initializer_range: 0.02,
  max_position_embeddings: 512,
  model_type: "distilbert",
  n_heads: 12,
  n_layers: 6,
  pad_token_id: 0,
  qa_dropout: 0.1,
  seq_classif_dropout: 0.2,
  sinusoidal_pos_embds: false,
  tie_weights_: true,
  vocab_size: 30522,
};

test("parseDistilBertConfig() reads a published configuration under the names of the others", () => {
  assert.deepEqual(parseDistilBertConfig(base), {
    vocabSize: 30522,
    hiddenSize: 768,
    numHiddenLayers: 6,
    numAttentionHeads: 12,
    intermediateSize: 3072,
    hiddenAct: "gelu",
    maxPositionEmbeddings: 512,
    layerNormEps: 1e-12,
    padTokenId: 0,
  });
});

test("parseDistilBertConfig() lists every field that is missing or wrong", () => {
  const { dim: _, ...rest } = base;
  assert.throws(
    () => parseDistilBertConfig({ ...rest, n_layers: 0, activation: "quick_gelu" }),
    (error: Error) => {
      assert.equal(error.name, "ModelConfigError");
      for (const field of ["dim", "n_layers", "activation"]) {
        assert.match(error.message, new RegExp(`^  ${field}: `, "m"));
      }
      return true;
    },
  );
  assert.throws(() => parseDistilBertConfig({ ...base, n_heads: 7 }), {
    message: /^ {2}n_heads: must divide dim$/m,
  });
});
