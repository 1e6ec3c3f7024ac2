import { excerpt } from "../../data/text/excerpt.ts";
import { type ModelFiles, readJsonObject } from "../../hub/mod.ts";
import { type EncoderFamily, ModelConfigError, type Pooling, readSentenceModules } from "../../models/mod.ts";

/** How a text is pooled for a head on the whole of it. */
export interface PoolingChoice {
  /** Undefined to use the checkpoint's default. */
  readonly pooling: Pooling | undefined;
  /** Why, as a phrase. */
  readonly reason?: string;
  /** What else the user should know. */
  readonly notice?: string;
}

/**
 * How to pool: as the configuration says, else as the files of a sentence encoder say.
 *
 * @throws {ModelConfigError} when the files name a pooling that isn't supported, and the configuration names none.
 */
export async function choosePooling(
  files: ModelFiles,
  configured: Pooling | undefined,
): Promise<PoolingChoice> {
  if (configured !== undefined) return { pooling: configured, reason: "as the configuration says" };
  const modules = await readModules(files);
  if (modules === undefined) return { pooling: undefined };
  const { pooling, file, behind } = modules;
  return {
    pooling,
    reason: `as ${file} of ${files.source} says`,
    ...await noticeOf(files, behind),
  };
}

/** Says which parts of a sentence encoder are not used. */
async function noticeOf(files: ModelFiles, behind: readonly string[]): Promise<{ notice?: string }> {
  const { source } = files;
  const settings = await readJsonObject(files, "config_sentence_transformers.json", { maxBytes: 1 << 20 });
  const texts = await readJsonObject(files, "sentence_bert_config.json", { maxBytes: 1 << 20 });
  const prompt = settings?.["default_prompt_name"] ?? undefined;
  const notices = [
    ...behind.length > 0
      ? [`Ignored modules of ${source}, because a new head replaces them: ${behind.join(", ")}`]
      : [],
    ...prompt === undefined ? [] : [
      `Texts are read without the default prompt of ${source}, ${
        excerpt(prompt)
      }: write it into them to use it`,
    ],
    ...texts?.["do_lower_case"] === true
      ? [
        `Texts aren't made lower case beforehand, as do_lower_case in sentence_bert_config.json of ${source} asks`,
      ]
      : [],
  ];
  return notices.length > 0 ? { notice: notices.join("; ") } : {};
}

async function readModules(files: ModelFiles) {
  try {
    return await readSentenceModules(files);
  } catch (cause) {
    if (!(cause instanceof ModelConfigError)) throw cause;
    throw new ModelConfigError(
      `${cause.message}; set "pooling" of "model" to mean, cls or pooler to use another`,
      {
        cause,
      },
    );
  }
}

/**
 * A sentence on how texts are pooled and why, for people.
 *
 * @param found how the encoder pools; undefined where the head is its family's own, of two layers.
 */
export function describePooling(
  found: Pooling | undefined,
  { reason }: PoolingChoice,
  { title }: Pick<EncoderFamily, "title">,
): string {
  if (found === undefined) {
    return `Pooling: the first token's state through a dense layer, as ${title} has for classification`;
  }
  const why = reason ??
    (found === "pooler"
      ? "the checkpoint's own dense layer on the first token's state"
      : "as the checkpoint has no pooler");
  return `Pooling: ${found}, ${why}`;
}
