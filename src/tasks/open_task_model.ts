import type { ModelFiles } from "../data/hub/model_files.ts";
import { disposeAll, type Gpu, type Tensor } from "../engine/mod.ts";
import {
  describeSkipped,
  type EncoderFamily,
  loadEncoder,
  openWeights,
  ParameterMismatchError,
  readEncoderConfig,
  type WeightSource,
} from "../models/mod.ts";
import { architectureFor, type HeadPart, headPartsOf, partProblems, readParts } from "./head_parts.ts";
import { withHeadParts } from "./_head_weights.ts";
import type { Task } from "./task.ts";
import { TaskModel } from "./task_model.ts";
import { numOutputsOf, taskOfConfig } from "./task_of_config.ts";

/** Options of {@linkcode openTaskModel}. */
export interface OpenTaskModelOptions {
  /** What the model was trained for; by default what its `config.json` says. */
  readonly task?: Task | undefined;
  /** Parts of the head that somebody else holds, as an adapter does beside its base; they are taken before the model's own. */
  readonly head?: HeadSource | undefined;
  /** Called after each of the encoder's tensors; at the end with `done` equal to `total`. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Called with a sentence on what the user should know: tensors that were left out, labels that are alike. */
  readonly onNotice?: ((message: string) => void) | undefined;
}

/** Tensors of a head by the names of `transformers`. */
export interface HeadSource extends Pick<WeightSource, "entries" | "read"> {
  /** Where they come from, for messages. */
  readonly source: string;
}

/** What {@linkcode openTaskModel} gives. */
export interface OpenedTaskModel {
  readonly model: TaskModel;
  readonly family: EncoderFamily;
}

/**
 * A model that is trained for a task already, encoder and head, as `transformers` saves it: one for sequence
 * classification, token classification or question answering. Nothing of it starts at random: a head, or a pooler that the
 * head reads, which the weights lack is refused. What the weights hold beside the model is left out, with a notice.
 *
 * @throws {ModelConfigError} when `config.json` is missing, asks for what isn't built, names another class, or names
 *   another number of labels than the head has.
 * @throws {ParameterMismatchError} listing every tensor that is missing or of another shape.
 * @throws {CorruptFileError} naming the file and what is wrong with it.
 * @example
 * ```ts no-run
 * const files = await openModelFiles("hf:distilbert/distilbert-base-uncased-finetuned-sst-2-english");
 * const { model } = await openTaskModel(gpu, files);
 * ```
 */
export async function openTaskModel(
  gpu: Gpu,
  files: ModelFiles,
  { task: given, head, onProgress, onNotice }: OpenTaskModelOptions = {},
): Promise<OpenedTaskModel> {
  const { family, config, json } = await readEncoderConfig(files);
  const { source } = files;
  const weights = await openWeights(files);
  try {
    const { entries } = weights;
    const task = given ?? taskOfConfig(json, family, {
      source,
      numOutputs: numOutputsOf(json, family, { source, entries }),
      onNotice,
    });
    const { hiddenSize } = config;
    const parts = headPartsOf(family, { task, hiddenSize });
    const whole = head === undefined ? weights : withHeadParts(weights, parts, { head, family });
    const problems = partProblems(parts, whole.entries, family);
    refuseProblems(problems, parts, {
      architecture: architectureFor(family, task).architecture,
      source,
      head,
    });
    const { encoder, skipped } = await loadEncoder(gpu, whole, { family, config, onProgress });
    try {
      const untrained = TaskModel.create(gpu, encoder, { task, seed: 0 });
      const own = parts.filter(({ name }) => name.startsWith("head."));
      const read: ReadonlyMap<string, Tensor> = await readParts(gpu, own, { weights: whole, family });
      disposeAll([...untrained.head.namedParameters()].map(([, each]) => each));
      const left = skipped.filter((name) => !own.some(({ theirs }) => theirs === name));
      const notice = describeSkipped(left, source);
      if (notice !== undefined) onNotice?.(notice);
      return { model: untrained.mapParameters((name, parameter) => read.get(name) ?? parameter), family };
    } catch (error) {
      disposeAll([...encoder.namedParameters()].map(([, each]) => each));
      throw error;
    }
  } finally {
    await weights.close();
  }
}

/** @throws {ParameterMismatchError} when there are problems. */
function refuseProblems(
  problems: readonly string[],
  parts: readonly HeadPart[],
  { architecture, source, head }: {
    readonly architecture: string;
    readonly source: string;
    readonly head: HeadSource | undefined;
  },
): void {
  if (problems.length === 0) return;
  const isMissing = problems.some((problem) => problem.endsWith("is missing"));
  throw new ParameterMismatchError(
    `Cannot use ${source} as ${head ? `the base of ${head.source}` : `a trained ${architecture}`}:\n  ${
      [...problems, ...isMissing ? [adviceOf(parts, head)] : []].join("\n  ")
    }`,
  );
}

function adviceOf(parts: readonly HeadPart[], head: HeadSource | undefined): string {
  if (head === undefined) {
    return "what is missing would start at random: save the whole model with save_pretrained, or train a head on its encoder";
  }
  const modules = parts.map(({ theirs }) => theirs.split(".").at(theirs.includes("pooler.") ? -3 : 0));
  return `what is missing is in neither of the two: it was random when the adapter was trained, and was left out when it was ` +
    `saved; train it again with modules_to_save=${JSON.stringify([...new Set(modules)])}`;
}
