import type { ModelFiles } from "../data/hub/model_files.ts";
import { disposeAll, formatShape, type Gpu, sameShape, type Tensor, tensor } from "../engine/mod.ts";
import {
  type EncoderFamily,
  loadEncoder,
  openWeights,
  ParameterMismatchError,
  readEncoderConfig,
  toFloat32,
  type WeightSource,
} from "../models/mod.ts";
import type { Task } from "./task.ts";
import { TaskModel } from "./task_model.ts";
import { taskOfConfig } from "./_task_of_config.ts";
import { type TransformersNames, transformersNames } from "./transformers_names.ts";

/** Options of {@linkcode openTaskModel}. */
export interface OpenTaskModelOptions {
  /** What the model was trained for; by default what its `config.json` says. */
  readonly task?: Task | undefined;
  /** Called after each of the encoder's tensors; at the end with `done` equal to `total`. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What {@linkcode openTaskModel} gives. */
export interface OpenedTaskModel {
  readonly model: TaskModel;
  readonly family: EncoderFamily;
}

/**
 * A model that is trained for a task already, encoder and head, as `transformers` saves it: one for sequence
 * classification, token classification or question answering.
 *
 * @throws {ModelConfigError} when `config.json` is missing, asks for what isn't built, or names another class.
 * @throws {ParameterMismatchError} listing every tensor that is missing, unknown or of another shape.
 * @throws {CorruptFileError} naming the file and what is wrong with it.
 * @throws {NoCounterpartError} when the weights have no pooler, on which a head of BERT's rests.
 * @example
 * ```ts no-run
 * const files = await openModelFiles("hf:distilbert/distilbert-base-uncased-finetuned-sst-2-english");
 * const { model } = await openTaskModel(gpu, files);
 * ```
 */
export async function openTaskModel(
  gpu: Gpu,
  files: ModelFiles,
  { task: given, onProgress }: OpenTaskModelOptions = {},
): Promise<OpenedTaskModel> {
  const { family, config, json } = await readEncoderConfig(files);
  const task = given ?? taskOfConfig(json, family, files.source);
  const weights = await openWeights(files);
  try {
    const { encoder } = await loadEncoder(gpu, weights, { family, config, onProgress });
    try {
      const untrained = TaskModel.create(gpu, encoder, { task, seed: 0 });
      const head = await readHead(untrained, weights, {
        names: transformersNames(untrained, family),
        source: files.source,
      });
      disposeAll([...untrained.head.namedParameters()].map(([, each]) => each));
      return { model: untrained.mapParameters((name, parameter) => head.get(name) ?? parameter), family };
    } catch (error) {
      disposeAll([...encoder.namedParameters()].map(([, each]) => each));
      throw error;
    }
  } finally {
    await weights.close();
  }
}

/** The parameters of a model's head out of a checkpoint, by the names that they have here. */
async function readHead(
  model: TaskModel,
  weights: WeightSource,
  { names, source }: { readonly names: TransformersNames; readonly source: string },
): Promise<Map<string, Tensor>> {
  const wanted = [...model.head.namedParameters("head")].map(([name, { shape }]) =>
    ({ name, shape, theirs: names.toTransformers(name)! }) as const
  );
  const problems = wanted.flatMap(({ theirs, shape }) => {
    const found = weights.entries.get(theirs);
    if (found === undefined) return [`${theirs} ${formatShape(shape)} is missing`];
    return sameShape(found.shape, shape)
      ? []
      : [`${theirs} must be ${formatShape(shape)}, got ${formatShape(found.shape)}`];
  });
  if (problems.length > 0) {
    throw new ParameterMismatchError(`Cannot use the head of ${source}:\n  ${problems.join("\n  ")}`);
  }
  const head = new Map<string, Tensor>();
  for (const { name, shape, theirs } of wanted) {
    head.set(name, tensor(model.gpu, toFloat32(await weights.read(theirs)), { shape }));
  }
  return head;
}
