import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type LocalModelFiles, openModelFiles } from "../../data/mod.ts";
import type { Gpu } from "../../engine/mod.ts";
import { decodeAdapter, importPeft, openPeftAdapter, wholeParameters } from "../../federa/mod.ts";
import { loadTokenizer, type Tokenizer } from "../../models/mod.ts";
import { openTaskModel, type OpenTaskModelOptions, TaskModel } from "../../tasks/mod.ts";
import { applyParameters } from "./apply_parameters.ts";
import { buildTask } from "../build_task.ts";
import type { LoadOptions } from "../load_data.ts";
import { type LoadedModel, loadModel } from "../load_model.ts";
import { DESCRIPTION, type ModelDescription, readDescription } from "./model_folder.ts";
import { ConfigError, parseWith } from "../config/parse_config.ts";
import { taskConfig } from "../config/task_config.ts";
import { showModelFiles } from "../reporter.ts";
import { DEFAULT_MAX_LENGTH, describePeft, type PeftSettings } from "./peft_description.ts";

/** A trained model, ready to answer. */
export interface TrainedModel {
  readonly model: TaskModel;
  /** The encoder as it was pretrained, under an untrained head. */
  readonly pretrained: TaskModel;
  readonly loaded: LoadedModel;
  readonly tokenizer: Tokenizer;
  readonly description: Omit<ModelDescription, "format" | "weights">;
}

/**
 * Opens a trained model: a folder that `federa run` has left for a method, an adapter of PEFT's, or a whole model that
 * `transformers` has saved.
 *
 * @throws {ConfigError} when the folder holds none of them, or says too little.
 * @throws what loading the encoder or the adapter throws.
 */
export async function openTrained(
  gpu: Gpu,
  folder: string,
  options: LoadOptions & PeftSettings,
): Promise<TrainedModel> {
  if (!(await stat(folder).catch(() => undefined))?.isDirectory() && !/^(hf|npm):/.test(folder)) {
    throw new ConfigError(`Cannot open a trained model in ${folder}: there is no such folder`);
  }
  const description = await readDescription(folder);
  return description === undefined
    ? await openForeign(gpu, folder, options)
    : await openOwn(gpu, description, { ...options, folder });
}

async function openOwn(
  gpu: Gpu,
  description: ModelDescription,
  options: LoadOptions & { readonly folder: string },
): Promise<TrainedModel> {
  // First, as the encoder takes longer to load.
  const bytes = await readWeights(join(options.folder, description.weights));
  const loaded = await loadModel(gpu, description, options);
  const pretrained = untrained(gpu, loaded, description);
  const model = description.weights === "adapter.safetensors"
    ? await decodeAdapter(pretrained, bytes)
    : applyParameters(pretrained, bytes);
  return { model, pretrained, loaded, tokenizer: loaded.tokenizer, description };
}

async function readWeights(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new ConfigError(`Cannot read ${path}: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
}

async function openForeign(
  gpu: Gpu,
  folder: string,
  options: LoadOptions & PeftSettings,
): Promise<TrainedModel> {
  const files = await openModelFiles(folder, {
    signal: options.signal,
    onProgress: showModelFiles(options.reporter),
  });
  if (!await files.has("adapter_config.json")) return await openCheckpoint(gpu, files, options);
  const adapter = await openPeftAdapter(files);
  try {
    const description = await describePeft(adapter, options);
    const base = await openModelFiles(description.model.source, {
      signal: options.signal,
      onProgress: showModelFiles(options.reporter),
    });
    const opened = await openWhole(gpu, base, {
      ...options,
      task: buildTask(description.task, description.labels),
      head: { source: adapter.source, ...wholeParameters(adapter) },
    });
    const { pretrained, loaded } = opened;
    const { model } = await importPeft(pretrained, adapter, { family: loaded.checkpoint!.family });
    return { ...opened, model, description };
  } finally {
    await adapter.weights.close();
  }
}

/** Opens encoder, head and tokenizer of a model that `transformers` has saved whole. */
async function openWhole(
  gpu: Gpu,
  files: LocalModelFiles,
  { reporter, ...options }: LoadOptions & Pick<OpenTaskModelOptions, "task" | "head">,
): Promise<Omit<TrainedModel, "description">> {
  const tokenizer = await loadTokenizer(files, { onNotice: (message) => reporter.line(message) });
  const { model, family } = await openTaskModel(gpu, files, {
    ...options,
    onProgress: (done, total) => reporter.progress("loading weights", done, total),
    onNotice: (message) => reporter.line(message),
  });
  reporter.endProgress();
  const { encoder } = model;
  return {
    model,
    pretrained: model,
    loaded: { encoder, tokenizer, source: files.source, checkpoint: { files, family } },
    tokenizer,
  };
}

/** Opens a model that is trained whole. */
async function openCheckpoint(
  gpu: Gpu,
  files: LocalModelFiles,
  options: LoadOptions & PeftSettings,
): Promise<TrainedModel> {
  if (!await files.has("config.json")) {
    throw new ConfigError(
      `Cannot open a trained model in ${files.source}: it has neither ${DESCRIPTION}, which federa run leaves for each ` +
        `method, nor adapter_config.json, which PEFT does, nor config.json of a whole model`,
    );
  }
  const opened = await openWhole(gpu, files, options);
  const { encoder, task } = opened.model;
  return {
    ...opened,
    description: {
      model: { source: files.source },
      precision: "f32",
      task: parseWith(taskConfig, task.kind, files.source),
      labels: [...task.labels],
      maxLength: Math.min(options.maxLength ?? DEFAULT_MAX_LENGTH, encoder.maxTokens),
    },
  };
}

function untrained(
  gpu: Gpu,
  { encoder }: LoadedModel,
  { task, labels }: Pick<ModelDescription, "task" | "labels">,
): TaskModel {
  return TaskModel.create(gpu, encoder, { task: buildTask(task, labels), seed: 0 });
}
