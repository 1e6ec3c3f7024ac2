import assert from "node:assert/strict";
import { test } from "node:test";
import { parseElectraConfig } from "../../../src/models/mod.ts";

/** config.json of google/electra-small-discriminator, as published. */
const small = {
  architectures: ["ElectraForPreTraining"],
  attention_probs_dropout_prob: 0.1,
  embedding_size: 128,
  hidden_act: "gelu",
  hidden_dropout_prob: 0.1,
  hidden_size: 256,
  initializer_range: 0.02,
  intermediate_size: 1024,
  layer_norm_eps: 1e-12,
  max_position_embeddings: 512,
  model_type: "electra",
  num_attention_heads: 4,
  num_hidden_layers: 12,
  pad_token_id: 0,
  summary_activation: "gelu",
  summary_last_dropout: 0.1,
  summary_type: "first",
  summary_use_proj: true,
  type_vocab_size: 2,
  vocab_size: 30522,
};

test("parseElectraConfig() reads a published configuration", () => {
  assert.deepEqual(parseElectraConfig(small), {
    vocabSize: 30522,
    hiddenSize: 256,
    numHiddenLayers: 12,
    numAttentionHeads: 4,
    intermediateSize: 1024,
    hiddenAct: "gelu",
    maxPositionEmbeddings: 512,
    typeVocabSize: 2,
    layerNormEps: 1e-12,
    padTokenId: 0,
    embeddingSize: 128,
  });
  const { embedding_size: _, ...rest } = small;
  assert.throws(
    () => parseElectraConfig({ ...rest, position_embedding_type: "relative_key" }),
    (error: Error) => {
      assert.equal(error.name, "ModelConfigError");
      assert.match(error.message, /^ {2}embedding_size: /m);
      assert.match(error.message, /^ {2}position_embedding_type: /m);
      return true;
    },
  );
});
