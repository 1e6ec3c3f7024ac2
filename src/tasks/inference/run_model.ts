import { disposeAll, noGrad, NonFiniteError, type Tensor, tidy } from "../../engine/mod.ts";
import type { TaskModel } from "../task_model.ts";
import { largestOf } from "../largest.ts";
import { extentsOf } from "../row_layout.ts";
import type { TaskSet } from "../task_set.ts";
import { uploadInputs, uploadRows } from "./_upload_rows.ts";
import { type EvaluationRows, planEvaluation } from "./evaluation_plan.ts";

/** Options of what runs a model over a set. */
export interface EvaluateOptions {
  /** Rows at once; by default 64, and fewer where they are long. */
  readonly batchSize?: number | undefined;
  /** Called after the device has finished a batch, with the number of finished rows and of all rows. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What a model gives for one row. The arrays are views of a batch: copy what you keep. */
export interface RowOutputs {
  /** [K], or [t, K] of the row's first t tokens, the others being padding. */
  readonly outputs: Float32Array;
  /** The loss of each target, 0 where it doesn't count; of the first t where every token has one. */
  readonly losses: Float32Array;
}

/** Options of {@linkcode runModel}. */
export interface RunModelOptions extends EvaluateOptions {
  /** Called once for each row, the longest rows first. */
  readonly onRow: (row: number, found: RowOutputs) => void;
}

/**
 * Runs a model on every row of a set, without recording gradients. Rows of similar length are batched, without the padding
 * beyond the longest, which changes no bit. Outputs of two batches are held at most.
 *
 * @throws {RangeError} on an empty set, or a token that the encoder has no embedding for.
 * @throws {NonFiniteError} when an output isn't finite.
 */
export async function runModel(model: TaskModel, set: TaskSet, options: RunModelOptions): Promise<void> {
  const { batchSize, onRow, onProgress } = options;
  if (set.size === 0) throw new RangeError("Cannot evaluate on an empty set: expected at least one example");
  model.encoder.checkInputs(set.inputs);
  let done = 0;
  const pending: Recorded[] = [];
  const collect = async () => {
    const { rows, outputs, losses } = pending[0]!;
    const found = await Promise.all([outputs.floats(), losses.floats()]);
    disposeBatch(pending.shift()!);
    rows.forEach((row, i) => {
      const [ofRow, lossesOfRow] = found.map((each) => partOf(each, i, rows.length)) as [
        Float32Array,
        Float32Array,
      ];
      assertFinite(ofRow, row);
      onRow(row, { outputs: ofRow, losses: lossesOfRow });
    });
    done += rows.length;
    onProgress?.(done, set.size);
  };
  try {
    for (const each of planEvaluation(set, { batchSize, packsTokens: model.encoder.packsTokens })) {
      // One batch is recorded ahead of the one that is waited for.
      pending.push({ ...evaluationBatch(model, set, each), rows: each.rows });
      model.gpu.flush();
      if (pending.length > 1) await collect();
    }
    await collect();
  } finally {
    pending.forEach(disposeBatch);
  }
}

/** Outputs and losses of some rows; the losses of targets that don't count are 0. */
interface Batch {
  readonly outputs: Tensor;
  readonly losses: Tensor;
}

/** A batch whose results aren't read yet. */
interface Recorded extends Batch {
  readonly rows: readonly number[];
}

function disposeBatch({ outputs, losses }: Batch): void {
  disposeAll([outputs, losses]);
}

/** Records outputs and losses of some rows. */
export function evaluationBatch(model: TaskModel, set: TaskSet, batch: EvaluationRows): Batch {
  const { targets, targetsPerRow } = set;
  const { rows, layout: { length } } = batch;
  const hasTargetPerToken = targetsPerRow === set.length && model.task.perToken;
  return tidy(() =>
    noGrad(() => {
      const inputs = uploadInputs(model.gpu, set, batch);
      const outputs = model.forward(inputs);
      const losses = model.task.losses(outputs, {
        inputs,
        targets: uploadRows(model.gpu, targets, {
          rows,
          shape: [targetsPerRow],
          length: hasTargetPerToken ? length : undefined,
        }),
      });
      return { outputs, losses };
    })
  );
}

/**
 * Records what {@linkcode runModel} would on some sets, for a rehearsal, in which nothing can be read: those batches that take the
 * most memory.
 */
export function rehearseModel(model: TaskModel, sets: readonly TaskSet[]): void {
  const batches = sets.flatMap((set) =>
    planEvaluation(set, { packsTokens: model.encoder.packsTokens }).map((batch) => ({ set, batch }))
  );
  const largest = largestOf(batches, ({ batch }) => extentsOf(batch.rows.length, batch.layout));
  for (const { set, batch } of largest) disposeBatch(evaluationBatch(model, set, batch));
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
