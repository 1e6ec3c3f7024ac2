import { noGrad, NonFiniteError, type Tensor, tensor, tidy } from "../engine/mod.ts";
import type { TextClassifier } from "../models/text_classifier.ts";
import type { TokenizedSet } from "./dataset.ts";
import { accuracy, macroF1 } from "../tasks/mod.ts";

/** How well a model does on a labelled set. */
export interface Evaluation {
  /** Mean cross-entropy in nats. */
  readonly loss: number;
  /** Share of right answers, 0 to 1. */
  readonly accuracy: number;
  /** Unweighted mean of the classes' F1 scores, 0 to 1. */
  readonly macroF1: number;
}

/** Texts that are evaluated at once. */
export const evaluationBatchSize = 64;

/** Options of {@linkcode evaluate}. */
export interface EvaluateOptions {
  /** Texts at once; 64 by default. */
  readonly batchSize?: number;
  /** Called after each batch. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Evaluates a classifier without recording gradients.
 *
 * @throws {RangeError} on an empty set.
 * @throws {NonFiniteError} when a logit isn't finite.
 */
export async function evaluate(
  model: TextClassifier,
  data: TokenizedSet,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  if (data.size === 0) throw new RangeError("Cannot evaluate on an empty set: expected at least one example");
  const { batchSize = evaluationBatchSize, onProgress } = options;
  const gpu = model.head.weight.gpu;
  const classes = model.labels.length;
  const predictions = new Int32Array(data.size);
  let loss = 0;
  let pending: { logits: Tensor; start: number }[] = [];
  const collect = async () => {
    for (const { logits, start } of pending) {
      const values = await logits.floats();
      logits.dispose();
      for (let i = 0; i < values.length / classes; i++) {
        const row = values.subarray(i * classes, (i + 1) * classes);
        assertFinite(row, start + i);
        const best = row.reduce((found, value, k) => value > row[found]! ? k : found, 0);
        predictions[start + i] = best;
        loss += Math.log(row.reduce((total, value) => total + Math.exp(value - row[best]!), 0)) + row[best]! -
          row[data.labels[start + i]!]!;
      }
    }
    pending = [];
  };
  for (let start = 0; start < data.size; start += batchSize) {
    const end = Math.min(start + batchSize, data.size);
    // One batch is recorded ahead of the one that is waited for.
    const next = { logits: evaluationLogits(model, data, { start, end }), start };
    gpu.flush();
    await collect();
    pending.push(next);
    onProgress?.(end, data.size);
  }
  await collect();
  return {
    loss: loss / data.size,
    accuracy: accuracy(data.labels, predictions),
    macroF1: macroF1(data.labels, predictions, { numClasses: classes }),
  };
}

/** Records the logits of the examples from `start` to before `end`. */
export function evaluationLogits(
  model: TextClassifier,
  { length, ids, mask }: TokenizedSet,
  { start, end }: { readonly start: number; readonly end: number },
): Tensor {
  const { gpu } = model.head.weight;
  const shape = [end - start, length];
  const upload = (data: Uint32Array | Float32Array) =>
    tensor(gpu, data.slice(start * length, end * length), { shape });
  return tidy(() => noGrad(() => model.forward({ ids: upload(ids), mask: upload(mask) })));
}

function assertFinite(row: Float32Array, example: number): void {
  if (!row.every(Number.isFinite)) {
    throw new NonFiniteError(
      `Cannot evaluate example ${example}: its logits are ${
        row.join(", ")
      }; the model has diverged (lower the learning rate) or a token id is outside its vocabulary`,
    );
  }
}
