import type { TrainedSettings } from "./trained_settings.ts";
import { excerpt } from "../../data/text/excerpt.ts";
import { type LocalModelFiles, type ModelFiles, readJsonObject } from "../../hub/mod.ts";
import type { PeftAdapter } from "../../federa/mod.ts";
import { openWeights, type WeightSource } from "../../models/mod.ts";
import {
  type ConfigJson,
  type HeadSource,
  labelsOfConfig,
  sequenceKindOf,
  type TaskKind,
  taskKinds,
} from "../../tasks/mod.ts";
import { ConfigError } from "../config/parse_config.ts";
import type { TaskConfig } from "../config/task_config.ts";
import { openPeftBase } from "./find_base.ts";
import type { LoadOptions } from "../data/load_data.ts";
import { checkOutputNames } from "./labels.ts";
import type { ModelDescription } from "./model_folder.ts";
import { defaultTask, kindsOfType, peftTaskTypes, typeOfClass } from "./task_kinds.ts";
import { notedReading, readTaskNote, TASK_NOTE, type TaskNote } from "./task_note.ts";

/** Options of {@linkcode describePeft}. */
export interface DescribePeftOptions extends LoadOptions, TrainedSettings {
  /** A head on pooled states, which `sentence-transformers` keeps beside an adapter. */
  readonly sentenceHead?: HeadSource | undefined;
}

/** What {@linkcode describePeft} finds. */
export interface PeftDescription
  extends Omit<ModelDescription, "format" | "weights" | "fingerprint" | "maxLength"> {
  /** The model that it is for. */
  readonly base: LocalModelFiles;
  /** Tokens of a text, where a note beside the adapter says it. */
  readonly maxLength: number | undefined;
}

/**
 * Describes an adapter of PEFT's as one of ours. Its task is what is given, else what a note beside it says, else what the
 * adapter's configuration and the base's `config.json` say together. Names of outputs are those given, else the note's, else
 * those of the base where there are as many, else `LABEL_0` and so on.
 *
 * @throws {ConfigError} when nothing says what its task or base is, or what is given doesn't fit it.
 * @throws {HubError} when its base isn't available.
 */
export async function describePeft(
  adapter: PeftAdapter,
  files: ModelFiles,
  options: DescribePeftOptions,
): Promise<PeftDescription> {
  const note = await readTaskNote(files);
  const base = await openPeftBase(adapter, options);
  const { sentenceHead } = options;
  const numOutputs = sentenceHead?.entries.get("linear.bias")?.shape[0] ?? await countOutputs(adapter, base);
  const json = await readJsonObject(base, "config.json", { maxBytes: 16 << 20 }) ?? {};
  const { source } = base;
  const task = taskOf(adapter, {
    numOutputs,
    note,
    json,
    source,
    given: options.task,
    hasSentenceHead: sentenceHead !== undefined,
  });
  const named = { source, json, reporter: options.reporter };
  const labels = checkOutputNames(
    options.labels ?? note?.labels ??
      (task.kind === "question-answering" ? ["start", "end"] : namesOf(named, numOutputs)),
    {
      model: adapter.source,
      task: task.kind,
      numOutputs,
      from: options.labels ? "--labels" : note ? `its ${TASK_NOTE}` : "its base",
    },
  );
  return {
    base,
    model: { source },
    precision: "f32",
    task,
    labels,
    maxLength: note?.maxLength,
    ...notedReading(note ?? {}),
  };
}

interface TaskSigns {
  readonly numOutputs: number;
  readonly note: TaskNote | undefined;
  /** `config.json` of the base, and where it is. */
  readonly json: ConfigJson;
  readonly source: string;
  /** Whether the head is one on pooled states. */
  readonly hasSentenceHead: boolean;
  /** What the user says. */
  readonly given: TaskKind | undefined;
}

function taskOf(
  { source: from, config: { taskType, baseClass } }: PeftAdapter,
  { numOutputs, note, json, source, given, hasSentenceHead }: TaskSigns,
): TaskConfig {
  const type = hasSentenceHead ? "SEQ_CLS" : taskType ?? typeOfClass(baseClass ?? "");
  const kinds = type === undefined ? undefined : kindsOfType(type);
  if (given !== undefined && kinds !== undefined && !kinds.includes(given)) {
    throw new ConfigError(
      `Cannot use the adapter of ${from} for ${given}: its ${
        taskType === undefined ? `base was a ${excerpt(baseClass)}` : `task_type is ${type}`
      }, which is for ${kinds.join(" or ")}`,
    );
  }
  const kind = given ?? note?.task.kind;
  if (kind !== undefined) return kind === note?.task.kind ? note.task : defaultTask(kind);
  if (kinds === undefined) {
    throw new ConfigError(
      `Cannot use the adapter of ${from}: ${
        type === undefined
          ? "its adapter_config.json has no task_type"
          : `its task_type must be ${peftTaskTypes.join(", ")}, got ${excerpt(type)}`
      }; use --task to say what it was trained for, one of ${taskKinds.join(", ")}`,
    );
  }
  return defaultTask(kinds.length === 1 ? kinds[0]! : sequenceKindOf(json, { numOutputs, source }));
}

/** Outputs of the head, which an adapter holds, or its base. */
async function countOutputs({ source, weights }: PeftAdapter, base: ModelFiles): Promise<number> {
  const own = lastLayerOf(weights.entries);
  if (own !== undefined) return own;
  const others = await openWeights(base);
  try {
    const found = lastLayerOf(others.entries);
    if (found !== undefined) return found;
  } finally {
    await others.close();
  }
  throw new ConfigError(
    `Cannot use the adapter of ${source}: neither it nor its base ${base.source} holds a head; save one with the adapter by ` +
      "modules_to_save, or give the model that has it as --base",
  );
}

/** Rows of the last layer of a head. */
function lastLayerOf(entries: WeightSource["entries"]): number | undefined {
  for (const [name, { shape }] of entries) {
    if (/(^|\.)(classifier|classifier\.out_proj|qa_outputs)\.weight$/.test(name) && shape.length === 2) {
      return shape[0]!;
    }
  }
  return undefined;
}

function namesOf(
  { source, json, reporter }:
    & { readonly source: string; readonly json: ConfigJson }
    & Pick<LoadOptions, "reporter">,
  count: number,
): string[] {
  const { id2label } = json;
  const isNamed = typeof id2label === "object" && id2label !== null && Object.keys(id2label).length === count;
  return isNamed
    ? labelsOfConfig(json, { source, onNotice: (message) => reporter.line(message) })
    : Array.from({ length: count }, (_, i) => `LABEL_${i}`);
}
