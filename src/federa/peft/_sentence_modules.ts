import { join } from "node:path";
import { makeFolder, writeFileAtomic } from "../../data/files/write_file.ts";
import { NonFiniteError, type Tensor, tidy, toFloat } from "../../engine/mod.ts";
import { encodeSafetensors } from "../../models/weights/safetensors.ts";
import type { TaskModel, TransformersNames } from "../../tasks/mod.ts";
import { adaptedLinears } from "../layers/adapted_linear.ts";

/** What `sentence-transformers` puts after a bare encoder: a pooling, and a dense layer, which is a task's head. */
export interface SentenceHead {
  readonly pooling: NonNullable<TransformersNames["sentencePooling"]>;
  /** [K, D]. */
  readonly weight: Float32Array;
  /** [K]. */
  readonly bias: Float32Array;
}

/**
 * The head of a model on pooled states, with its adapter merged.
 *
 * @throws {NonFiniteError} when a value is NaN or infinite.
 */
export async function sentenceHeadOf(
  model: TaskModel,
  pooling: SentenceHead["pooling"],
): Promise<SentenceHead> {
  const { weight, bias } = model.head.output;
  const adapter = adaptedLinears(model).get("head.output");
  return {
    pooling,
    weight: await finite("head.output.weight", () => adapter?.effectiveWeight() ?? toFloat(weight)),
    bias: await finite("head.output.bias", () => toFloat(bias!)),
  };
}

/** The elements of the tensor that `make` returns, which must be finite. */
export async function finite(name: string, make: () => Tensor): Promise<Float32Array> {
  using made = tidy(make);
  const data = await made.floats();
  const bad = data.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw new NonFiniteError(`Cannot write ${name}: its element ${bad} is ${data[bad]}`);
  return data;
}

/** Options of {@linkcode sentenceModules}. */
export interface SentenceModulesOptions {
  /** Tokens of a text, special ones included; as many as the encoder and tokenizer take by default. */
  readonly maxLength?: number | undefined;
}

/**
 * `modules.json`, `1_Pooling` and `2_Dense`, which turn the folder of an encoder or an adapter into a
 * `SentenceTransformer` whose `encode` gives the head's outputs. Every version since 2.0 reads these names and fields.
 */
export function sentenceModules(
  { pooling, weight, bias }: SentenceHead,
  { maxLength }: SentenceModulesOptions = {},
): Map<string, Uint8Array<ArrayBuffer> | string> {
  const size = bias.length;
  const width = weight.length / size;
  const contents: Readonly<Record<string, object>> = {
    "1_Pooling/config.json": {
      word_embedding_dimension: width,
      pooling_mode_cls_token: pooling === "cls",
      pooling_mode_mean_tokens: pooling === "mean",
      pooling_mode_max_tokens: false,
      pooling_mode_mean_sqrt_len_tokens: false,
    },
    "2_Dense/model.safetensors": encodeSafetensors(
      new Map([
        ["linear.weight", { dtype: "F32", shape: [size, width], data: weight }],
        ["linear.bias", { dtype: "F32", shape: [size], data: bias }],
      ]),
      { format: "pt" },
    ),
    "2_Dense/config.json": {
      in_features: width,
      out_features: size,
      bias: true,
      activation_function: "torch.nn.modules.linear.Identity",
    },
    ...maxLength !== undefined &&
      { "sentence_bert_config.json": { max_seq_length: maxLength, do_lower_case: false } },
    "config_sentence_transformers.json": { prompts: {}, default_prompt_name: null },
    "modules.json": ["Transformer", "Pooling", "Dense"].map((type, idx) => ({
      idx,
      name: String(idx),
      path: idx === 0 ? "" : `${idx}_${type}`,
      type: `sentence_transformers.models.${type}`,
    })),
  };
  return new Map(
    Object.entries(contents).map(([name, content]) => [
      name,
      content instanceof Uint8Array
        ? content as Uint8Array<ArrayBuffer>
        : `${JSON.stringify(content, null, 2)}\n`,
    ]),
  );
}

/** Writes {@linkcode sentenceModules} into a folder, and returns their names. */
export async function writeSentenceModules(
  folder: string,
  head: SentenceHead,
  options: SentenceModulesOptions = {},
): Promise<string[]> {
  const files = sentenceModules(head, options);
  for (const name of ["1_Pooling", "2_Dense"]) await makeFolder(join(folder, name));
  for (const [name, content] of files) await writeFileAtomic(join(folder, name), content);
  return [...files.keys()];
}
