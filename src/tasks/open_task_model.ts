import type { ModelFiles } from "../hub/files/model_files.ts";
import { disposeAll, type Gpu, type Tensor } from "../engine/mod.ts";
import {
  describeSkipped,
  type EncoderFamily,
  loadEncoder,
  openWeights,
  ParameterMismatchError,
  type Pooling,
  readEncoderConfig,
  type WeightSource,
} from "../models/mod.ts";
import { architectureFor, type HeadPart, headPartsOf, partProblems, readParts } from "./heads/head_parts.ts";
import { withHeadParts } from "./heads/head_weights.ts";
import type { Task } from "./task.ts";
import { TaskModel } from "./task_model.ts";
import { openSentenceHead } from "./heads/sentence_head.ts";
import { isSentenceModel, numOutputsOf, taskOfConfig } from "./task_of_config.ts";

/** Options of {@linkcode openTaskModel}. */
export interface OpenTaskModelOptions {
  /** What the model was trained for; by default what its `config.json` says. */
  readonly task?: Task | undefined;
  /** Parts of the head from elsewhere, such as an adapter; they replace the model's own. */
  readonly head?: HeadSource | undefined;
  /** Called after each of the encoder's tensors; at the end with `done` equal to `total`. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Called with what the user should know: tensors that were ignored, duplicate labels. */
  readonly onNotice?: ((message: string) => void) | undefined;
}

/** Tensors of a head by the names of `transformers`. */
export interface HeadSource extends Pick<WeightSource, "entries" | "read"> {
  /** Where they come from, for messages. */
  readonly source: string;
  /** How a text's states become one vector, where the head is the dense layer `linear` on that; see {@linkcode openSentenceHead}. */
  readonly pooling?: Pooling | undefined;
}

/** What {@linkcode openTaskModel} gives. */
export interface OpenedTaskModel {
  readonly model: TaskModel;
  readonly family: EncoderFamily;
}

/**
 * A model that is trained for a task already, encoder and head, as `transformers` saves it: one for sequence
 * classification, token classification or question answering; or as `sentence-transformers` does, an encoder with a dense
 * layer on pooled states, whose `config.json` names what it was trained for. Nothing is initialized at random: a model
 * whose weights lack the head, or a pooler that the head reads, is refused. Other tensors in the weights are ignored, with a notice.
 *
 * @throws {ModelConfigError} when `config.json` is missing, asks for what isn't supported, names another class, or names
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
  options: OpenTaskModelOptions = {},
): Promise<OpenedTaskModel> {
  const { onProgress, onNotice } = options;
  const { family, config, json } = await readEncoderConfig(files);
  const { source } = files;
  const own = options.head === undefined && isSentenceModel(json, family)
    ? await openSentenceHead(files)
    : undefined;
  const head = own ?? options.head;
  const weights = await openWeights(files);
  try {
    const { entries } = weights;
    const task = options.task ?? taskOfConfig(json, family, {
      source,
      numOutputs: own === undefined ? numOutputsOf(json, family, { source, entries }) : sizeOf(own),
      isPooled: own !== undefined,
      onNotice,
    });
    const { hiddenSize } = config;
    const parts = headPartsOf(family, { task, hiddenSize, isPooled: head?.pooling !== undefined });
    const whole = head === undefined ? weights : withHeadParts(weights, parts, { head, family });
    const problems = partProblems(parts, whole.entries, family);
    refuseProblems(problems, parts, {
      architecture: architectureFor(family, task).architecture,
      source,
      head: options.head,
    });
    const { encoder, skipped } = await loadEncoder(gpu, whole, {
      family,
      config,
      pooling: head?.pooling,
      onProgress,
    });
    try {
      const untrained = TaskModel.create(gpu, encoder, { task, seed: 0 });
      const headParts = parts.filter(({ name }) => name.startsWith("head."));
      const read: ReadonlyMap<string, Tensor> = await readParts(gpu, headParts, { weights: whole, family });
      disposeAll([...untrained.head.namedParameters()].map(([, each]) => each));
      const left = skipped.filter((name) => !headParts.some(({ theirs }) => theirs === name));
      const notice = describeSkipped(left, source);
      if (notice !== undefined) onNotice?.(notice);
      return { model: untrained.mapParameters((name, parameter) => read.get(name) ?? parameter), family };
    } catch (error) {
      disposeAll([...encoder.namedParameters()].map(([, each]) => each));
      throw error;
    }
  } finally {
    await weights.close();
    await own?.close();
  }
}

/** Outputs of a dense layer on pooled states. */
function sizeOf({ entries, source }: HeadSource): number {
  const shape = entries.get("linear.weight")?.shape;
  if (shape?.length === 2) return shape[0]!;
  throw new ParameterMismatchError(
    `Cannot use ${source}: its dense layer must have linear.weight of two axes`,
  );
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
    `Cannot use ${source} as ${head ? `the base of ${head.source}` : `a trained ${architecture}`}: ${
      problems.join(", ")
    }${isMissing ? `; ${adviceOf(parts, head)}` : ""}`,
  );
}

function adviceOf(parts: readonly HeadPart[], head: HeadSource | undefined): string {
  if (head === undefined) {
    return "what is missing would be initialized at random; save the whole model with save_pretrained, or train a head on its encoder";
  }
  const modules = parts.map(({ theirs }) => theirs.split(".").at(theirs.includes("pooler.") ? -3 : 0));
  return `what is missing is in neither of them: it was random when the adapter was trained, and wasn't saved with it; ` +
    `train it again with modules_to_save=${JSON.stringify([...new Set(modules)])}`;
}
