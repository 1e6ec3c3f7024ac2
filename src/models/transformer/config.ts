import { describeIssue } from "../../data/text/describe_issue.ts";
import { z } from "zod";
import { ModelConfigError } from "../errors.ts";

/**
 * What stands between the two layers of a feed-forward part: `gelu` is the exact form by the error function, `gelu_new` the
 * one by tanh.
 */
export type HiddenActivation = "gelu" | "gelu_new" | "relu" | "silu";

/** The sizes and constants that every family of encoders has. */
export interface TransformerConfig {
  /** Rows of the table of word embeddings. */
  readonly vocabSize: number;
  /** Width of token states; a multiple of the number of heads. */
  readonly hiddenSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  /** Width of the feed-forward layer. */
  readonly intermediateSize: number;
  /** The activation of the feed-forward layer. */
  readonly hiddenAct: HiddenActivation;
  /** Rows of the table of position embeddings. */
  readonly maxPositionEmbeddings: number;
  /** Added to the variance in each layer normalisation. */
  readonly layerNormEps: number;
  /** The id that padding has. */
  readonly padTokenId: number;
}

const activations: Readonly<Record<string, HiddenActivation>> = {
  gelu: "gelu",
  gelu_python: "gelu",
  gelu_new: "gelu_new",
  gelu_fast: "gelu_new",
  gelu_pytorch_tanh: "gelu_new",
  gelu_python_tanh: "gelu_new",
  relu: "relu",
  silu: "silu",
  swish: "silu",
};

/** A number of rows or columns in a `config.json`. */
export const sizeField = z.int().positive();

/** A number of layers: more would be a mistake, and the list of their parameters without end. */
export const layersField = z.int().positive().max(1000);

/** An activation by one of the names that `transformers` has for it. */
export const activationField = z.enum(Object.keys(activations)).transform((name) => activations[name]!);

/** Added to a variance. */
export const epsilonField = z.number().positive();

/** The id of padding. */
export const padTokenField = z.int().nonnegative().nullable();

/** Nothing, or an object without keys. */
const nothing = (message: string) =>
  z.unknown().refine((value) => value === undefined || value === null || isEmpty(value), message).optional();

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && Object.keys(value!).length === 0;
}

/** Fields of every family that ask for another computation than its own. */
export const foreignFields = {
  quantization_config: nothing(
    "quantized weights aren't read; in Python, dequantize() the model and save it again, or take one that isn't quantized",
  ),
  pruned_heads: nothing("must be empty: layers with fewer heads aren't supported"),
  auto_map: z.unknown().refine(
    (value) => !Object.keys(value ?? {}).some((name) => name.startsWith("AutoModel")),
    "must name no model: its code would have to be run, which isn't supported",
  ).optional(),
};

/** Fields that would change the numbers, and so have to be as they are here; those of pretraining are passed over. */
export const fixedFields = {
  ...foreignFields,
  position_embedding_type: z.literal("absolute", { error: "must be absolute; others aren't supported" })
    .default("absolute"),
  is_decoder: z.literal(false, { error: "must be false; a decoder's tokens don't see those after them" })
    .default(false),
  add_cross_attention: z.literal(false, {
    error: "must be false; attention to another model isn't supported",
  })
    .default(false),
};

/** A demand on a configuration, for `refine` of its schema: the number of heads divides the width. */
export function headsDivideWidth(
  heads: string,
  width: string,
): [(fields: Record<string, unknown>) => boolean, { path: string[]; message: string }] {
  const divides = (fields: Record<string, unknown>) => Number(fields[width]) % Number(fields[heads]) === 0;
  return [divides, { path: [heads], message: `must divide ${width}` }];
}

/** Options of {@linkcode parseModelConfig}. */
export interface ParseModelConfigOptions<Fields> {
  /** What the file must hold. */
  readonly schema: z.ZodType<Fields>;
  /** Name of the family, for messages. */
  readonly title: string;
}

/**
 * Reads the JSON of a `config.json`.
 *
 * @throws {ModelConfigError} listing every field that is missing, wrong, or asks for what isn't supported.
 */
export function parseModelConfig<Fields>(value: unknown, options: ParseModelConfigOptions<Fields>): Fields {
  const { schema, title } = options;
  const { success, data, error } = schema.safeParse(value, { error: (issue) => describeIssue(issue) });
  if (success) return data;
  const problems = error.issues.map(({ path, message }) => `  ${path.join(".") || "it"}: ${message}`);
  throw new ModelConfigError(
    `Cannot build the ${title} encoder from its configuration:\n${problems.join("\n")}`,
  );
}
