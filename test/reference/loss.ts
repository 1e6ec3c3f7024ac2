import { F64Array } from "./array.ts";
import { sigmoid } from "./elementwise.ts";
import { logSoftmax, softmax } from "./softmax.ts";

/** The label whose row counts for nothing. */
export const IGNORED_LABEL = -100;

/** Options of the losses. */
export interface LossOptions {
  /** Weight of each row (cross-entropy) or element; 1 by default. */
  readonly weights?: F64Array;
  /**
   * `none`: weight·loss of each; `sum`: Σ weight·loss; `mean` (the default): that over Σ weight, or 0 where all
   * weights are 0. The sum of per-client means is `sum` with weights of 1 / (kept rows of the client).
   */
  readonly reduction?: "none" | "sum" | "mean";
}

/** −log softmax(logits)[label] for logits [..., K] and integer labels [...]; rows labelled −100 are left out. */
export function crossEntropy(logits: F64Array, labels: F64Array, options: LossOptions = {}): F64Array {
  const classes = logits.shape.at(-1)!;
  const logProbabilities = logSoftmax(logits);
  const losses = labels.map((label, row) =>
    label === IGNORED_LABEL ? 0 : -logProbabilities.data[row * classes + checkLabel(label, classes)]!
  );
  return reduceLosses(losses, keptWeights(labels, options), options);
}

/** Gradient of the logits under {@link crossEntropy}; `dy` has the shape of the loss. */
export function crossEntropyGradient(
  logits: F64Array,
  labels: F64Array,
  dy: F64Array,
  options: LossOptions = {},
): F64Array {
  const classes = logits.shape.at(-1)!;
  const dLosses = spreadGradient(dy, keptWeights(labels, options), options);
  return softmax(logits).map((probability, i) => {
    const row = Math.floor(i / classes);
    const target = labels.data[row] === i % classes ? 1 : 0;
    return dLosses.data[row]! * (probability - target);
  });
}

/** −t·log σ(z) − (1 − t)·log(1 − σ(z)) for logits z and targets t in [0, 1] of one shape. */
export function binaryCrossEntropyWithLogits(
  logits: F64Array,
  targets: F64Array,
  options: LossOptions = {},
): F64Array {
  const losses = logits.map((z, i) =>
    Math.max(z, 0) - z * targets.data[i]! + Math.log1p(Math.exp(-Math.abs(z)))
  );
  return reduceLosses(losses, weightsOf(logits, options), options);
}

/** Gradient of the logits under {@link binaryCrossEntropyWithLogits}. */
export function binaryCrossEntropyWithLogitsGradient(
  logits: F64Array,
  targets: F64Array,
  dy: F64Array,
  options: LossOptions = {},
): F64Array {
  const dLosses = spreadGradient(dy, weightsOf(logits, options), options);
  return dLosses.map((gradient, i) => gradient * (sigmoid(logits.data[i]!) - targets.data[i]!));
}

/** (prediction − target)² for arrays of one shape. */
export function mse(prediction: F64Array, target: F64Array, options: LossOptions = {}): F64Array {
  const losses = prediction.map((value, i) => (value - target.data[i]!) ** 2);
  return reduceLosses(losses, weightsOf(prediction, options), options);
}

/** Gradient of the prediction under {@link mse}; that of the target is its negative. */
export function mseGradient(
  prediction: F64Array,
  target: F64Array,
  dy: F64Array,
  options: LossOptions = {},
): F64Array {
  const dLosses = spreadGradient(dy, weightsOf(prediction, options), options);
  return dLosses.map((gradient, i) => gradient * 2 * (prediction.data[i]! - target.data[i]!));
}

function checkLabel(label: number, classes: number): number {
  if (!Number.isInteger(label) || label < 0 || label >= classes) {
    throw new RangeError(`Cannot score label ${label} against ${classes} classes`);
  }
  return label;
}

function weightsOf(like: F64Array, options: LossOptions): F64Array {
  return options.weights ?? F64Array.full(like.shape, 1);
}

function keptWeights(labels: F64Array, options: LossOptions): F64Array {
  return weightsOf(labels, options).map((weight, row) => labels.data[row] === IGNORED_LABEL ? 0 : weight);
}

/** What the reduction multiplies the weighted losses by. */
function reductionFactor(weights: F64Array, { reduction = "mean" }: LossOptions): number {
  const total = weights.data.reduce((sum, weight) => sum + weight, 0);
  return reduction !== "mean" ? 1 : total === 0 ? 0 : 1 / total;
}

function reduceLosses(losses: F64Array, weights: F64Array, options: LossOptions): F64Array {
  const weighted = losses.map((loss, i) => loss * weights.data[i]!);
  if (options.reduction === "none") return weighted;
  const total = weighted.data.reduce((sum, loss) => sum + loss, 0);
  return F64Array.full([], total * reductionFactor(weights, options));
}

function spreadGradient(dy: F64Array, weights: F64Array, options: LossOptions): F64Array {
  const factor = reductionFactor(weights, options);
  return weights.map((weight, i) => weight * factor * dy.data[options.reduction === "none" ? i : 0]!);
}
