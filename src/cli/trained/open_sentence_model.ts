import type { LocalModelFiles } from "../../data/mod.ts";
import type { Gpu } from "../../engine/mod.ts";
import { importPeft, type PeftAdapter } from "../../federa/mod.ts";
import { PooledHead, TaskModel } from "../../tasks/mod.ts";
import { buildTask } from "../build_task.ts";
import { ConfigError } from "../config/parse_config.ts";
import type { LoadOptions } from "../load_data.ts";
import { loadModel } from "../load_model.ts";
import { openPeftBase } from "./find_base.ts";
import { checkLabels } from "./labels.ts";
import { maxLengthFor } from "./max_length.ts";
import type { TrainedModel } from "./open_trained.ts";
import type { TrainedSettings } from "./trained_settings.ts";
import { readSentenceHead } from "./sentence_head.ts";
import { defaultTask, haveHeadsAlike } from "./task_kinds.ts";
import { notedReading, readTaskNote, TASK_NOTE } from "./task_note.ts";

/** Options of {@linkcode openSentenceModel}. */
export interface OpenSentenceModelOptions extends LoadOptions, TrainedSettings {
  /** The adapter, where the files are of one. */
  readonly adapter?: PeftAdapter;
}

/**
 * Opens what was exported for `sentence-transformers`, an adapter or a whole encoder with a head on pooled states; undefined
 * where the files are of another kind.
 *
 * @throws {ConfigError} when what a person says doesn't fit it.
 * @throws what loading the encoder or the adapter throws.
 */
export async function openSentenceModel(
  gpu: Gpu,
  files: LocalModelFiles,
  { adapter, ...options }: OpenSentenceModelOptions,
): Promise<TrainedModel | undefined> {
  const note = await readTaskNote(files);
  const head = note && await readSentenceHead(gpu, files);
  if (note === undefined || head === undefined) return undefined;
  const { pooling, output } = head;
  const kind = options.task ?? note.task.kind;
  if (!haveHeadsAlike(kind, note.task.kind)) {
    throw new ConfigError(`Cannot use ${files.source} for ${kind}: it was trained for ${note.task.kind}`);
  }
  const task = kind === note.task.kind ? note.task : defaultTask(kind);
  const labels = checkLabels(options.labels ?? note.labels, {
    model: files.source,
    task: kind,
    numOutputs: output.weight.shape[0]!,
    from: options.labels ? "--labels" : `its ${TASK_NOTE}`,
  });
  const { source } = adapter === undefined ? files : await openPeftBase(adapter, options);
  const description = {
    model: { source, pooling },
    precision: "f32",
    task,
    labels,
    ...notedReading(note),
  } as const;
  const loaded = await loadModel(gpu, description, options);
  const { encoder, tokenizer } = loaded;
  const pretrained = new TaskModel(encoder, new PooledHead(output), { task: buildTask(task, labels) });
  const { model } = adapter === undefined
    ? { model: pretrained }
    : await importPeft(pretrained, adapter, { family: loaded.checkpoint?.family });
  const maxLength = maxLengthFor(loaded, { given: options.maxLength, recorded: note.maxLength });
  return { model, pretrained, loaded, tokenizer, description: { ...description, maxLength } };
}
