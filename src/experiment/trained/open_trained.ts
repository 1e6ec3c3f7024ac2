import { parseModelSpec } from "../../hub/model_spec.ts";
import { type LocalModelFiles, openModelFiles } from "../../hub/mod.ts";
import type { Gpu } from "../../engine/mod.ts";
import { importPeft, openPeftAdapter, wholeParameters, withTokenizerOf } from "../../federa/mod.ts";
import { loadTokenizer, type Tokenizer } from "../../models/mod.ts";
import {
  openSentenceHead,
  openTaskModel,
  type OpenTaskModelOptions,
  type Task,
  type TaskKind,
  TaskModel,
} from "../../tasks/mod.ts";
import { buildTask } from "../model/build_task.ts";
import { ConfigError } from "../config/parse_config.ts";
import type { LoadOptions } from "../data/load_data.ts";
import type { LoadedModel } from "../model/load_model.ts";
import { showModelFiles } from "../report/show_downloads.ts";
import { whyNoModel } from "./describe_folder.ts";
import { checkOutputNames } from "./labels.ts";
import { maxLengthFor } from "./max_length.ts";
import { type ModelDescription, readDescription } from "./model_folder.ts";
import { openOwn } from "./open_own.ts";
import { describePeft } from "./peft_description.ts";
import type { TrainedSettings } from "./trained_settings.ts";
import { defaultTask, haveHeadsAlike } from "./task_kinds.ts";
import { distinguishesPairs, withoutQuestionTypes } from "./question_types.ts";
import { notedReading, readTaskNote, type TaskNote } from "./task_note.ts";

/** A trained model, ready to answer. */
export interface TrainedModel {
  readonly model: TaskModel;
  /** The encoder as it was pretrained, under an untrained head. */
  readonly pretrained: TaskModel;
  readonly loaded: LoadedModel;
  readonly tokenizer: Tokenizer;
  readonly description: Omit<ModelDescription, "format" | "weights" | "fingerprint">;
}

/** Options of {@linkcode openTrained}. */
export interface OpenTrainedOptions extends LoadOptions, TrainedSettings {
  /** Whether to open it in f32, whatever its weights were stored in while it was trained: for files of other programs. */
  readonly whole?: boolean;
}

/**
 * Opens a trained model: a folder that `federa run` has left for a method, an adapter of PEFT's, or a whole model that
 * `transformers` has saved.
 *
 * @throws {ConfigError} when the folder holds none of them, or says too little; or what a person says doesn't fit the model.
 * @throws what loading the encoder or the adapter throws.
 */
export async function openTrained(
  gpu: Gpu,
  folder: string,
  options: OpenTrainedOptions,
): Promise<TrainedModel> {
  const own = await recordOf(folder);
  if (own !== undefined) return await openOwn(gpu, own, { ...options, folder });
  const { reporter, signal } = options;
  const files = await openModelFiles(folder, { signal, onProgress: showModelFiles(reporter) });
  return await files.has("adapter_config.json")
    ? await openAdapter(gpu, files, options)
    : await openWhole(gpu, files, options);
}

/**
 * What `federa run` has recorded of a model, without opening it; undefined of models of other programs.
 *
 * @throws {ConfigError} when the folder holds no model.
 */
export async function recordOf(folder: string): Promise<ModelDescription | undefined> {
  if (parseModelSpec(folder).kind !== "folder") return undefined;
  const problem = await whyNoModel(folder);
  if (problem !== undefined) throw new ConfigError(`Cannot open a trained model in ${folder}: ${problem}`);
  return await readDescription(folder);
}

/** Opens an adapter of PEFT's. */
async function openAdapter(
  gpu: Gpu,
  files: LocalModelFiles,
  options: LoadOptions & TrainedSettings,
): Promise<TrainedModel> {
  const adapter = await openPeftAdapter(files);
  // An adapter of a task model holds its own head, whatever other files its folder has.
  const isBare = adapter.config.taskType === "FEATURE_EXTRACTION";
  const sentenceHead = isBare ? await openSentenceHead(files) : undefined;
  try {
    const { base, maxLength: recorded, ...description } = await describePeft(adapter, files, {
      ...options,
      sentenceHead,
    });
    const opened = await openCheckpoint(gpu, await withTokenizerOf(base, files), {
      ...options,
      task: buildTask(description.task, description.labels),
      head: sentenceHead ?? { source: adapter.source, ...wholeParameters(adapter) },
    });
    const { pretrained, loaded } = opened;
    const maxLength = maxLengthFor(loaded, { given: options.maxLength, recorded });
    const { model } = await importPeft(pretrained, adapter, { family: loaded.checkpoint!.family });
    // Adapters that were exported here before they had the task_type null were trained with types; a note is beside them.
    const isUntyped = adapter.config.taskType === "QUESTION_ANS" && (model.encoder.numTypes ?? 1) > 1 &&
      await readTaskNote(files) === undefined && distinguishesPairs(opened.tokenizer);
    if (isUntyped) {
      options.reporter.line(
        "Question and context both have the token type 0, as PEFT's class for task_type QUESTION_ANS leaves token types out; " +
          "with task_type null in adapter_config.json they are used, as merged and exported models do",
      );
    }
    const tokenizer = isUntyped ? withoutQuestionTypes(opened.tokenizer) : opened.tokenizer;
    return { ...opened, model, tokenizer, description: { ...description, maxLength } };
  } finally {
    await adapter.weights.close();
    await sentenceHead?.close();
  }
}

/** Opens a model that is trained whole. */
async function openWhole(
  gpu: Gpu,
  files: LocalModelFiles,
  options: LoadOptions & TrainedSettings,
): Promise<TrainedModel> {
  const { source } = files;
  if (options.base !== undefined) {
    throw new ConfigError(`Cannot use ${source} with another base: it is a whole model; leave out --base`);
  }
  const note = await readTaskNote(files);
  const { task: _, ...others } = options;
  const opened = await openCheckpoint(gpu, files, others);
  const { encoder, head, task: found } = opened.model;
  const { task, labels } = describeWhole(found, note, { ...options, source });
  const model = new TaskModel(encoder, head, { task: buildTask(task, labels) });
  const maxLength = maxLengthFor(opened.loaded, { given: options.maxLength, recorded: note?.maxLength });
  return {
    ...opened,
    model,
    pretrained: model,
    description: {
      model: { source },
      precision: "f32",
      task,
      labels,
      maxLength,
      ...notedReading(note ?? {}),
    },
  };
}

/** Opens encoder, head and tokenizer of a checkpoint. */
async function openCheckpoint(
  gpu: Gpu,
  files: LocalModelFiles,
  { reporter, ...options }: LoadOptions & Pick<OpenTaskModelOptions, "task" | "head">,
): Promise<Omit<TrainedModel, "description">> {
  const tokenizer = await loadTokenizer(files, { onNotice: (message) => reporter.line(message) });
  const { model, family } = await openTaskModel(gpu, files, {
    ...options,
    onProgress: (done, total) => reporter.progress("loading weights", done, total, { unit: "tensors" }),
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

/** The task and labels of a whole model, as recorded in it or as the user says. */
function describeWhole(
  { kind, labels }: Task,
  note: TaskNote | undefined,
  { source, ...options }: TrainedSettings & { readonly source: string },
): Pick<ModelDescription, "task" | "labels"> {
  const { task = kind as TaskKind } = options;
  if (!haveHeadsAlike(task, kind as TaskKind)) {
    throw new ConfigError(`Cannot use ${source} for ${task}: its config.json says that it is for ${kind}`);
  }
  const named = options.labels === undefined ? [...labels] : checkOutputNames(options.labels, {
    model: source,
    task,
    numOutputs: labels.length,
    from: "--labels",
  });
  return { task: note?.task.kind === task ? note.task : defaultTask(task), labels: named };
}
