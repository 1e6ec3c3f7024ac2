import { readFile, stat } from "node:fs/promises";
import { openModelFiles } from "../../data/mod.ts";
import type { PeftAdapter } from "../../federa/mod.ts";
import type { LoadOptions } from "../load_data.ts";
import type { ModelDescription } from "./model_folder.ts";
import { ConfigError, parseJson } from "../config/parse_config.ts";
import { showModelFiles } from "../reporter.ts";
import type { TaskConfig } from "../config/task_config.ts";

/** What an adapter of PEFT's doesn't say, or somebody says otherwise. */
export interface PeftSettings {
  /** Source of the encoder, instead of the one that the adapter names. */
  readonly base?: string | undefined;
  /** Names of the outputs, in their order. */
  readonly labels?: readonly string[] | undefined;
  /** Tokens of a text; 128 by default. */
  readonly maxLength?: number | undefined;
}

/** Tokens of a text where nothing is said. */
export const DEFAULT_MAX_LENGTH = 128;

/**
 * Describes an adapter of PEFT's as one of ours. Names of outputs are those given, else those of the base's `config.json` where
 * there are as many, else `LABEL_0` and so on.
 *
 * @throws {ConfigError} when it isn't for a task that is known here, or doesn't say which encoder it is for.
 */
export async function describePeft(
  adapter: PeftAdapter,
  options: LoadOptions & PeftSettings,
): Promise<Omit<ModelDescription, "format" | "weights">> {
  const { source: from, config } = adapter;
  const named = options.base ?? config.baseModel;
  if (named === undefined) {
    throw new ConfigError(`Cannot use the adapter of ${from}: it doesn't name its base model, give --base`);
  }
  const source = options.base ?? (await isFolder(named) ? named : `hf:${named}`);
  const numOutputs = countOutputs(adapter);
  const task = taskOf(adapter, numOutputs);
  const labels = task.kind === "question-answering"
    ? ["start", "end"]
    : options.labels ?? await namesOf(source, numOutputs, options);
  if (labels.length !== numOutputs) {
    throw new ConfigError(
      `Cannot use the adapter of ${from}: its head has ${numOutputs} outputs, got ${labels.length} labels`,
    );
  }
  return {
    model: { source },
    precision: "f32",
    task,
    labels: [...labels],
    maxLength: options.maxLength ?? DEFAULT_MAX_LENGTH,
  };
}

function taskOf({ source, config: { taskType } }: PeftAdapter, numOutputs: number): TaskConfig {
  switch (taskType) {
    case "SEQ_CLS":
      return { kind: numOutputs === 1 ? "regression" : "sequence-classification" };
    case "TOKEN_CLS":
      return { kind: "token-classification" };
    case "QUESTION_ANS":
      return { kind: "question-answering", maxAnswerLength: 30, nBest: 20 };
    default:
      throw new ConfigError(
        `Cannot use the adapter of ${source}: expected the task type SEQ_CLS, TOKEN_CLS or QUESTION_ANS, got ${taskType}`,
      );
  }
}

/** Outputs of the head that an adapter holds. */
function countOutputs({ source, weights }: PeftAdapter): number {
  for (const [name, { shape }] of weights.entries) {
    const isLast = /\.(classifier|classifier\.out_proj|qa_outputs|score)(\.modules_to_save)?\.weight$/.test(
      name,
    );
    if (isLast && shape.length === 2) return shape[0]!;
  }
  throw new ConfigError(
    `Cannot use the adapter of ${source}: it holds no head; expected one saved by modules_to_save`,
  );
}

async function namesOf(source: string, count: number, { reporter, signal }: LoadOptions): Promise<string[]> {
  const files = await openModelFiles(source, { signal, onProgress: showModelFiles(reporter) });
  const path = await files.path("config.json");
  const config = path === undefined ? undefined : parseJson(await readFile(path, "utf8"), path);
  const found = (config as { id2label?: Readonly<Record<string, unknown>> } | undefined)?.id2label ?? {};
  const names = Array.from({ length: count }, (_, i) => found[i]);
  return Object.keys(found).length === count && names.every((name) => typeof name === "string")
    ? names as string[]
    : Array.from({ length: count }, (_, i) => `LABEL_${i}`);
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}
