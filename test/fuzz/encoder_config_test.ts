import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import assert from "node:assert/strict";
import { sizeOf } from "../../src/engine/mod.ts";
import { readEncoderConfig } from "../../src/models/mod.ts";
import { folderFiles } from "../support/folder_files.ts";
import { fuzz } from "../support/fuzz.ts";
import { mutateJson } from "../support/mutate.ts";

const folder = await mkdtemp(join(tmpdir(), "federa-fuzz-"));
after(() => rm(folder, { recursive: true, force: true }));

/** As published: google-bert/bert-base-uncased, its distilled form, roberta-base, electra-small, deberta-v3-small. */
const corpus = [
  {
    architectures: ["BertForMaskedLM"],
    attention_probs_dropout_prob: 0.1,
    hidden_act: "gelu",
    hidden_size: 768,
    initializer_range: 0.02,
    intermediate_size: 3072,
    layer_norm_eps: 1e-12,
    max_position_embeddings: 512,
    model_type: "bert",
    num_attention_heads: 12,
    num_hidden_layers: 12,
    pad_token_id: 0,
    position_embedding_type: "absolute",
    type_vocab_size: 2,
    vocab_size: 30522,
  },
  {
    activation: "gelu",
    dim: 768,
    hidden_dim: 3072,
    max_position_embeddings: 512,
    model_type: "distilbert",
    n_heads: 12,
    n_layers: 6,
    pad_token_id: 0,
    vocab_size: 30522,
  },
  {
    bos_token_id: 0,
    hidden_act: "gelu",
    hidden_size: 768,
    intermediate_size: 3072,
    layer_norm_eps: 1e-05,
    max_position_embeddings: 514,
    model_type: "roberta",
    num_attention_heads: 12,
    num_hidden_layers: 12,
    pad_token_id: 1,
    type_vocab_size: 1,
    vocab_size: 50265,
  },
  {
    embedding_size: 128,
    hidden_act: "gelu",
    hidden_size: 256,
    intermediate_size: 1024,
    layer_norm_eps: 1e-12,
    max_position_embeddings: 512,
    model_type: "electra",
    num_attention_heads: 4,
    num_hidden_layers: 12,
    type_vocab_size: 2,
    vocab_size: 30522,
  },
  {
    hidden_act: "gelu",
    hidden_size: 768,
    intermediate_size: 3072,
    layer_norm_eps: 1e-7,
    max_position_embeddings: 512,
    max_relative_positions: -1,
    model_type: "deberta-v2",
    norm_rel_ebd: "layer_norm",
    num_attention_heads: 12,
    num_hidden_layers: 6,
    pad_token_id: 0,
    pooler_hidden_act: "gelu",
    pos_att_type: ["p2c", "c2p"],
    position_biased_input: false,
    position_buckets: 256,
    relative_attention: true,
    share_att_key: true,
    type_vocab_size: 0,
    vocab_size: 128100,
  },
].map((config) => new TextEncoder().encode(JSON.stringify(config)));

test("readEncoderConfig() of a broken config.json fails by name, or gives shapes that can be listed", async () => {
  await fuzz("config.json", async (bytes) => {
    await writeFile(join(folder, "config.json"), bytes);
    const { family, config } = await readEncoderConfig(folderFiles(folder));
    for (const [name, shape] of family.parameterShapes(config)) {
      assert.ok(sizeOf(shape) > 0, `${name} [${shape}]`);
    }
  }, { corpus, mutate: mutateJson, errors: ["ModelConfigError", "CorruptFileError"] });
});
