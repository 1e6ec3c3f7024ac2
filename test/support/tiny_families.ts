import type { Gpu } from "../../src/engine/mod.ts";
import {
  type Backbone,
  encoderFamilies,
  type Pooling,
  uploadParameters,
  UseLite,
  useLiteShapes,
} from "../../src/models/mod.ts";
import { classification, TaskModel } from "../../src/tasks/mod.ts";
import { drawParameters } from "./bert.ts";

const sizes = {
  vocab_size: 23,
  hidden_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  intermediate_size: 19,
  max_position_embeddings: 18,
};

/** Configurations of a few dimensions, one for each family: d = 12, L = 2, H = 3. */
export const tinyConfigs: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  bert: { ...sizes, model_type: "bert" },
  roberta: { ...sizes, model_type: "roberta", pad_token_id: 1, type_vocab_size: 1 },
  "xlm-roberta": { ...sizes, model_type: "xlm-roberta", pad_token_id: 1, type_vocab_size: 1 },
  distilbert: {
    model_type: "distilbert",
    vocab_size: 23,
    dim: 12,
    n_layers: 2,
    n_heads: 3,
    hidden_dim: 19,
    max_position_embeddings: 18,
  },
  electra: { ...sizes, model_type: "electra", embedding_size: 8 },
  "deberta-v2": {
    ...sizes,
    model_type: "deberta-v2",
    relative_attention: true,
    position_buckets: 4,
    share_att_key: true,
    pos_att_type: "p2c|c2p",
    position_biased_input: false,
    type_vocab_size: 0,
    norm_rel_ebd: "layer_norm",
  },
};

/** Names of all encoders: the families, and USE lite, which has sizes of its own. */
export const encoderNames: readonly string[] = [...Object.keys(tinyConfigs), "use-lite"];

/** An encoder of random parameters of order 1. */
export function tinyFamily(
  gpu: Gpu,
  name: string,
  options: { readonly seed?: number; readonly pooling?: Pooling } = {},
): Backbone {
  const { seed = 1, pooling } = options;
  if (name === "use-lite") return new UseLite(gpu, new Map(drawParameters(useLiteShapes(), { seed })));
  const family = encoderFamilies.get(name)!;
  const config = family.parseConfig(tinyConfigs[name]);
  const parameters = drawParameters(family.parameterShapes(config), { seed });
  return family.create(uploadParameters(gpu, parameters), config, { pooling });
}

/** {@linkcode tinyFamily} with a head of three classes. */
export function tinyFamilyClassifier(
  gpu: Gpu,
  name: string,
  options: { readonly seed?: number; readonly pooling?: Pooling } = {},
): TaskModel {
  const task = classification({ labels: ["no", "yes", "maybe"] });
  return TaskModel.create(gpu, tinyFamily(gpu, name, options), { task, seed: 1 });
}
