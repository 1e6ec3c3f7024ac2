import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../../data/mod.ts";
import {
  checkNothingLeftOut,
  encodeAdapter,
  fingerprintOf,
  hasAdapters,
  ownTensors,
} from "../../federa/mod.ts";
import { encodeSafetensors, type StoredTensor } from "../../models/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import type { Config } from "../config/config.ts";
import { readingConfig, type ReadingOptions } from "../config/data_config.ts";
import { modelConfig, precisionConfig } from "../config/model_config.ts";
import { ConfigError, parseJson, parseWith } from "../config/parse_config.ts";
import { taskConfig } from "../config/task_config.ts";

/** What a folder says of the model in it: all that is needed to build it again. */
const descriptionSchema = z.strictObject({
  format: z.literal("federa-model-1"),
  model: modelConfig,
  precision: precisionConfig,
  task: taskConfig,
  /** Names of the outputs, in their order. */
  labels: z.array(z.string()).min(1),
  maxLength: z.int().min(1),
  /** How the files were read that it was trained on, so that others are read the same way. */
  reading: readingConfig.optional(),
  /** The file beside this one: adapters and head, or every parameter that was trained. */
  weights: z.enum(["adapter.safetensors", "parameters.safetensors"]),
  /** Identifies the encoder that training started from, see `fingerprintOf`. */
  fingerprint: z.string().optional(),
});

/** A description of a trained model. */
export type ModelDescription = z.output<typeof descriptionSchema>;

/** Name of the description. */
export const DESCRIPTION = "federa.json";

/** Options of {@linkcode writeModelFolder}. */
export interface WriteModelFolderOptions {
  /** The model that training started from. */
  readonly pretrained: TaskModel;
  readonly config:
    & Pick<Config, "model" | "precision" | "task" | "maxLength">
    & Partial<Pick<Config, "data">>;
}

/**
 * Writes what a model has beyond the pretrained one into a folder: `adapter.safetensors` where layers are adapted,
 * `parameters.safetensors` otherwise; and `federa.json`, which {@linkcode readDescription} reads.
 */
export async function writeModelFolder(
  folder: string,
  model: TaskModel,
  { pretrained, config: { model: source, precision, task, maxLength, data } }: WriteModelFolderOptions,
): Promise<void> {
  const isAdapted = hasAdapters(model);
  const weights = isAdapted ? "adapter.safetensors" : "parameters.safetensors";
  await writeFileAtomic(
    join(folder, weights),
    isAdapted ? await encodeAdapter(model, { pretrained }) : await encodeOwn(model, pretrained),
  );
  const { labels } = model.task;
  const description: ModelDescription = {
    format: "federa-model-1",
    model: source,
    precision,
    task,
    labels: [...labels],
    maxLength,
    ...(data?.kind === "files" && { reading: pickReading(data) }),
    weights,
    fingerprint: await fingerprintOf(pretrained.encoder),
  };
  await writeDescription(folder, description);
}

/** Writes the description of a trained model, replacing an existing one. */
export async function writeDescription(folder: string, description: ModelDescription): Promise<void> {
  await writeFileAtomic(join(folder, DESCRIPTION), `${JSON.stringify(description, null, 2)}\n`);
}

/** The part of the data's configuration that says how files are read. */
function pickReading(data: ReadingOptions): ReadingOptions {
  const own = Object.entries(data).filter(([name]) => Object.hasOwn(readingConfig.shape, name));
  return Object.fromEntries(own) as ReadingOptions;
}

/**
 * Reads the description of a trained model; undefined where the folder has none.
 *
 * @throws {ConfigError} if it isn't one.
 */
export async function readDescription(folder: string): Promise<ModelDescription | undefined> {
  const path = join(folder, DESCRIPTION);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw new ConfigError(`Cannot read ${path}: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
  return parseWith(descriptionSchema, parseJson(text, path), path);
}

async function encodeOwn(model: TaskModel, pretrained: TaskModel): Promise<Uint8Array> {
  checkNothingLeftOut(model, pretrained);
  const stored = new Map<string, StoredTensor>();
  for (const [name, parameter] of ownTensors(model, pretrained)) {
    stored.set(name, { dtype: "F32", shape: parameter.shape, data: await parameter.floats() });
  }
  return encodeSafetensors(stored);
}
