import { disposeAll, noGrad, NonFiniteError, type Tensor, tensor, tidy } from "../../engine/mod.ts";
import { type EvaluationRows, planEvaluation } from "./evaluation_plan.ts";
import { countTargets, type Scores, type Task, type TaskModel, type TaskSet } from "../mod.ts";

/** How well a model does on a set of examples. */
export interface Evaluation {
  /** Mean of the losses of all targets that count, in nats, or squares where numbers are foretold. */
  readonly loss: number;
  /** What the task scores, such as `accuracy`. */
  readonly scores: Scores;
}

/** Options of {@linkcode evaluate} and {@linkcode modelOutputs}. */
export interface EvaluateOptions {
  /** Rows at once; by default 64, and fewer where they are long. */
  readonly batchSize?: number | undefined;
  /** Called after the device has finished a batch, with the number of finished rows and of all rows. */
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
 * @throws {RangeError} on an empty set, or one of which no target counts.
 * @throws {NonFiniteError} when an output isn't finite.
 */
export async function evaluate(
  model: TaskModel,
  data: TaskSet,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  return scoreOutputs(model.task, data, await modelOutputs(model, data, options));
}

/**
 * The evaluation of a model's outputs on a set.
 *
 * @throws {RangeError} on an empty set, or one of which no target counts.
 */
export function scoreOutputs(task: Task, data: TaskSet, { outputs, losses }: ModelOutputs): Evaluation {
  let counted = 0;
  for (let row = 0; row < data.size; row++) counted += countTargets(data, row);
  if (counted === 0) {
    throw new RangeError(
      `Cannot evaluate ${data.size} rows: expected targets that count, got none; raise the maximum length if texts were cut`,
    );
  }
  const loss = losses.reduce((total, value) => total + value, 0) / counted;
  return { loss, scores: task.score(data, outputs) };
}

/**
 * The outputs of a model on every row of a set, without recording gradients. Rows of similar length are batched, without
 * the padding beyond the longest, which changes no bit; outputs of tokens that are left out are 0.
 *
 * @throws {RangeError} on an empty set, or a token that the encoder has no embedding for.
 * @throws {NonFiniteError} when an output isn't finite.
 */
export async function modelOutputs(
  model: TaskModel,
  data: TaskSet,
  options: EvaluateOptions = {},
): Promise<ModelOutputs> {
  if (data.size === 0) throw new RangeError("Cannot evaluate on an empty set: expected at least one example");
  model.encoder.checkTokens(data);
  const { batchSize, onProgress } = options;
  const width = model.task.labels.length * (model.task.perToken ? data.length : 1);
  const all = {
    outputs: new Float32Array(data.size * width),
    losses: new Float32Array(data.size * data.targetsPerRow),
  };
  let done = 0;
  let pending: { batch: Batch; rows: readonly number[] } | undefined;
  const collect = async () => {
    if (pending === undefined) return;
    const { batch, rows } = pending;
    const [outputs, losses] = await Promise.all([batch.outputs.floats(), batch.losses.floats()]);
    disposeAll([batch.outputs, batch.losses]);
    rows.forEach((row, i) => {
      const found = partOf(outputs, i, rows.length);
      assertFinite(found, row);
      all.outputs.set(found, row * width);
      all.losses.set(partOf(losses, i, rows.length), row * data.targetsPerRow);
    });
    done += rows.length;
    onProgress?.(done, data.size);
  };
  for (const { rows, length } of planEvaluation(data, batchSize)) {
    // One batch is recorded ahead of the one that is waited for.
    const batch = evaluationBatch(model, data, { rows, length });
    model.gpu.flush();
    await collect();
    pending = { batch, rows };
  }
  await collect();
  return all;
}

/** Outputs and losses of some rows; the losses of targets that don't count are 0. */
interface Batch {
  readonly outputs: Tensor;
  readonly losses: Tensor;
}

/** Records outputs and losses of some rows. */
export function evaluationBatch(model: TaskModel, set: TaskSet, { rows, length }: EvaluationRows): Batch {
  const { inputIds, attentionMask, tokenTypeIds, targets, targetsPerRow } = set;
  const upload = (data: Uint32Array | Int32Array | Float32Array, width: number, kept: number) => {
    const values = data.slice(0, rows.length * kept); // of the same kind
    rows.forEach((row, i) => values.set(data.subarray(row * width, row * width + kept), i * kept));
    return tensor(model.gpu, values, { shape: [rows.length, kept] });
  };
  const targetsKept = targetsPerRow === set.length && model.task.perToken ? length : targetsPerRow;
  return tidy(() =>
    noGrad(() => {
      const tokens = {
        inputIds: upload(inputIds, set.length, length),
        attentionMask: upload(attentionMask, set.length, length),
        ...(tokenTypeIds && { tokenTypeIds: upload(tokenTypeIds, set.length, length) }),
      };
      const outputs = model.forward(tokens);
      const losses = model.task.losses(outputs, {
        targets: upload(targets, targetsPerRow, targetsKept),
        attentionMask: tokens.attentionMask,
      });
      return { outputs, losses };
    })
  );
}

/** One of `count` equal parts of values. */
function partOf(values: Float32Array, index: number, count: number): Float32Array {
  const size = values.length / count;
  return values.subarray(index * size, (index + 1) * size);
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
