import { disposeAll, noGrad, NonFiniteError, type Tensor, tensor, tidy } from "../engine/mod.ts";
import { countTargets, type Scores, type TaskModel, type TaskSet } from "../tasks/mod.ts";

/** How well a model does on a set of examples. */
export interface Evaluation {
  /** Mean of the losses of all targets that count, in nats, or squares where numbers are foretold. */
  readonly loss: number;
  /** What the task scores, such as `accuracy`. */
  readonly scores: Scores;
}

/** Rows that are evaluated at once. */
export const evaluationBatchSize = 64;

/** Options of {@linkcode evaluate} and {@linkcode modelOutputs}. */
export interface EvaluateOptions {
  /** Rows at once; 64 by default. */
  readonly batchSize?: number;
  /** Called after each batch that the device has done, with rows done and all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What a model makes of a set. */
export interface ModelOutputs {
  /** [N, K], or [N, T, K] where the task asks for each token's. */
  readonly outputs: Float32Array;
  /** The loss of each target, [N, targetsPerRow]; 0 where it doesn't count. */
  readonly losses: Float32Array;
}

/**
 * Evaluates a model without recording gradients.
 *
 * @throws {RangeError} on an empty set.
 * @throws {NonFiniteError} when an output isn't finite.
 */
export async function evaluate(
  model: TaskModel,
  data: TaskSet,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  const { outputs, losses } = await modelOutputs(model, data, options);
  let counted = 0;
  for (let row = 0; row < data.size; row++) counted += countTargets(data, row);
  const loss = losses.reduce((total, value) => total + value, 0) / counted;
  return { loss, scores: model.task.score(data, outputs) };
}

/**
 * The outputs of a model on every row of a set, without recording gradients.
 *
 * @throws {RangeError} on an empty set.
 * @throws {NonFiniteError} when an output isn't finite.
 */
export async function modelOutputs(
  model: TaskModel,
  data: TaskSet,
  options: EvaluateOptions = {},
): Promise<ModelOutputs> {
  if (data.size === 0) throw new RangeError("Cannot evaluate on an empty set: expected at least one example");
  const { batchSize = evaluationBatchSize, onProgress } = options;
  const width = model.task.labels.length * (model.task.perToken ? data.length : 1);
  const all = {
    outputs: new Float32Array(data.size * width),
    losses: new Float32Array(data.size * data.targetsPerRow),
  };
  let pending: { batch: Batch; start: number } | undefined;
  const collect = async () => {
    if (pending === undefined) return;
    const { batch, start } = pending;
    const [outputs, losses] = await Promise.all([batch.outputs.floats(), batch.losses.floats()]);
    disposeAll([batch.outputs, batch.losses]);
    for (let at = 0; at < outputs.length; at += width) {
      assertFinite(outputs.subarray(at, at + width), start + at / width);
    }
    all.outputs.set(outputs, start * width);
    all.losses.set(losses, start * data.targetsPerRow);
  };
  for (let start = 0; start < data.size; start += batchSize) {
    const end = Math.min(start + batchSize, data.size);
    // One batch is recorded ahead of the one that is waited for.
    const batch = evaluationBatch(model, data, { start, end });
    model.gpu.flush();
    await collect();
    if (start > 0) onProgress?.(start, data.size);
    pending = { batch, start };
  }
  await collect();
  onProgress?.(data.size, data.size);
  return all;
}

/** Outputs and losses of some rows; the losses of targets that don't count are 0. */
interface Batch {
  readonly outputs: Tensor;
  readonly losses: Tensor;
}

/** Records outputs and losses of the rows from `start` to before `end`. */
export function evaluationBatch(
  model: TaskModel,
  { length, targetsPerRow, ids, mask, types, targets }: TaskSet,
  { start, end }: { readonly start: number; readonly end: number },
): Batch {
  const upload = (data: Uint32Array | Int32Array | Float32Array, width: number) =>
    tensor(model.gpu, data.slice(start * width, end * width), { shape: [end - start, width] });
  return tidy(() =>
    noGrad(() => {
      const tokens = {
        ids: upload(ids, length),
        mask: upload(mask, length),
        ...(types && { types: upload(types, length) }),
      };
      const outputs = model.forward(tokens);
      const losses = model.task.losses(outputs, {
        targets: upload(targets, targetsPerRow),
        mask: tokens.mask,
      });
      return { outputs, losses };
    })
  );
}

function assertFinite(row: Float32Array, index: number): void {
  if (!row.every(Number.isFinite)) {
    throw new NonFiniteError(
      `Cannot evaluate row ${index}: its outputs are ${describe(row)}; the model has diverged ` +
        `(lower the learning rate) or a token id is outside its vocabulary`,
    );
  }
}

function describe(row: Float32Array): string {
  return `${row.subarray(0, 8).join(", ")}${row.length > 8 ? ", …" : ""}`;
}
