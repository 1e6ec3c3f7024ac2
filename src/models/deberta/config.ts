import { z } from "zod";
import type { HeadActivation } from "../backbone.ts";
import {
  activationField,
  epsilonField,
  fixedFields,
  headsDivideWidth,
  layersField,
  padTokenField,
  parseModelConfig,
  sizeField,
  type TransformerConfig,
} from "../transformer/config.ts";

/** Terms of scores that know positions: `c2p` of a query with where the key is, `p2c` of a key with where the query is. */
export type PositionTerm = "c2p" | "p2c";

/** The convolution beside the first layer that some checkpoints have. */
export interface ConvolutionConfig {
  /** Tokens that one output sees; odd. */
  readonly kernelSize: number;
  readonly activation: HeadActivation;
}

/** The sizes and constants of a DeBERTa-v2 or v3 encoder, as in a Hugging Face `config.json`. */
export interface DebertaV2Config extends TransformerConfig {
  /** Kinds of tokens; 0 where they have no embeddings. */
  readonly typeVocabSize: number;
  /** Whether embeddings of absolute positions are added to those of words. */
  readonly positionBiasedInput: boolean;
  /** Terms of scores beside that of contents. */
  readonly posAttType: readonly PositionTerm[];
  /** Whether positions go through the projections of queries and keys, or through some of their own. */
  readonly shareAttKey: boolean;
  /** Distances beyond which all count as one. */
  readonly maxRelativePositions: number;
  /** Buckets of distances to either side, wider ones further off; without them every distance has its own. */
  readonly positionBuckets: number | undefined;
  /** Whether embeddings of distances are normalised. */
  readonly normRelEbd: boolean;
  readonly convolution: ConvolutionConfig | undefined;
  /** The activation of the classification head. */
  readonly poolerHiddenAct: HeadActivation;
}

const list = (text: string) => text.toLowerCase().split("|").map((each) => each.trim());
const terms = z.array(z.enum(["c2p", "p2c"])).min(1);
const plainActivation = z.enum(["tanh", "gelu", "relu"]);

const fields = z.object({
  ...fixedFields,
  model_type: z.literal("deberta-v2", { error: "must be deberta-v2; the first DeBERTa isn't supported" })
    .default("deberta-v2"),
  vocab_size: sizeField,
  hidden_size: sizeField,
  num_hidden_layers: layersField,
  num_attention_heads: sizeField,
  intermediate_size: sizeField,
  hidden_act: activationField.default("gelu"),
  max_position_embeddings: sizeField,
  type_vocab_size: z.int().nonnegative().default(0),
  layer_norm_eps: epsilonField.default(1e-7),
  pad_token_id: padTokenField.default(0),
  relative_attention: z.literal(true, {
    error: "must be true; attention without relative positions isn't supported",
  }),
  pos_att_type: z.union([z.string().transform(list).pipe(terms), terms], {
    error: "must be c2p, p2c or both; others aren't supported",
  }),
  share_att_key: z.boolean().default(false),
  position_biased_input: z.boolean().default(true),
  max_relative_positions: z.int().default(-1),
  position_buckets: z.int().default(-1),
  norm_rel_ebd: z.string().transform(list).pipe(z.array(z.enum(["none", "layer_norm"]))).default(["none"]),
  conv_kernel_size: z.int().nonnegative().default(0),
  conv_groups: z.literal(1).default(1),
  conv_act: plainActivation.default("tanh"),
  pooler_hidden_act: plainActivation.default("gelu"),
  pooler_hidden_size: sizeField.optional(),
  embedding_size: sizeField.optional(),
  attention_head_size: sizeField.optional(),
});

type Fields = z.output<typeof fields>;

const schema = fields.refine(...headsDivideWidth("num_attention_heads", "hidden_size")).superRefine(
  (data, context) => {
    const { hidden_size, num_attention_heads, position_buckets, conv_kernel_size } = data;
    const demand = (field: keyof Fields, holds: boolean, message: string) => {
      if (!holds) context.addIssue({ code: "custom", path: [field], message });
    };
    const own = (field: "pooler_hidden_size" | "embedding_size" | "attention_head_size", size: number) =>
      demand(field, (data[field] ?? size) === size, `must be ${size}, as the other sizes say`);
    own("pooler_hidden_size", hidden_size);
    own("embedding_size", hidden_size);
    own("attention_head_size", hidden_size / num_attention_heads);
    demand("conv_kernel_size", conv_kernel_size === 0 || conv_kernel_size % 2 === 1, "must be odd");
    const buckets = position_buckets > 0;
    demand("position_buckets", !buckets || position_buckets > 1, "must be more than 1");
    demand(
      "position_buckets",
      !buckets || reachOf(data) - 1 > Math.floor(position_buckets / 2),
      "must leave distances beyond half of it, up to max_relative_positions",
    );
  },
);

function reachOf({ max_relative_positions, max_position_embeddings }: Fields): number {
  return max_relative_positions > 0 ? max_relative_positions : max_position_embeddings;
}

/**
 * Reads a Hugging Face `config.json` of a DeBERTa-v2 or v3 encoder. Dropout is not among its fields: nothing is dropped
 * here. Only relative attention is built, which is what published checkpoints have.
 *
 * @param value what the file's JSON holds.
 * @throws {ModelConfigError} listing every field that is missing, wrong, or asks for what this encoder doesn't do.
 * @example
 * ```ts no-run
 * const config = parseDebertaV2Config(JSON.parse(await readFile("config.json", "utf8")));
 * ```
 */
export function parseDebertaV2Config(value: unknown): DebertaV2Config {
  const data = parseModelConfig(value, { schema, title: "DeBERTa-v2" });
  return {
    vocabSize: data.vocab_size,
    hiddenSize: data.hidden_size,
    numHiddenLayers: data.num_hidden_layers,
    numAttentionHeads: data.num_attention_heads,
    intermediateSize: data.intermediate_size,
    hiddenAct: data.hidden_act,
    maxPositionEmbeddings: data.max_position_embeddings,
    layerNormEps: data.layer_norm_eps,
    padTokenId: data.pad_token_id ?? 0,
    typeVocabSize: data.type_vocab_size,
    positionBiasedInput: data.position_biased_input,
    posAttType: [...new Set(data.pos_att_type)],
    shareAttKey: data.share_att_key,
    maxRelativePositions: reachOf(data),
    positionBuckets: data.position_buckets > 0 ? data.position_buckets : undefined,
    normRelEbd: data.norm_rel_ebd.includes("layer_norm"),
    convolution: data.conv_kernel_size > 0
      ? { kernelSize: data.conv_kernel_size, activation: data.conv_act }
      : undefined,
    poolerHiddenAct: data.pooler_hidden_act,
  };
}
