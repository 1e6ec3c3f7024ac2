import { F64Array } from "./array.ts";

/** Options of {@link sgdStep}. */
export interface SgdOptions {
  readonly learningRate: number;
  /** 0 by default. */
  readonly momentum?: number;
  /** Added to the gradient as weightDecay·parameter; 0 by default. */
  readonly weightDecay?: number;
  readonly nesterov?: boolean;
}

/** What {@link sgdStep} hands on to the next step. */
export interface SgdState {
  readonly parameter: F64Array;
  /** Absent before the first step. */
  readonly velocity?: F64Array;
}

/** One step of torch's SGD: v ← momentum·v + g, p ← p − learningRate·v (Sutskever et al. 2013 in torch's form). */
export function sgdStep(state: SgdState, gradient: F64Array, options: SgdOptions): Required<SgdState> {
  const { learningRate, momentum = 0, weightDecay = 0, nesterov = false } = options;
  const { parameter, velocity: previous = F64Array.full(parameter.shape) } = state;
  const decayed = gradient.map((g, i) => g + weightDecay * parameter.data[i]!);
  const velocity = decayed.map((g, i) => momentum * previous.data[i]! + g);
  const direction = nesterov ? decayed.map((g, i) => g + momentum * velocity.data[i]!) : velocity;
  return { parameter: parameter.map((p, i) => p - learningRate * direction.data[i]!), velocity };
}

/** Options of {@link adamWStep}. */
export interface AdamWOptions {
  readonly learningRate: number;
  /** 0.9 by default. */
  readonly beta1?: number;
  /** 0.999 by default. */
  readonly beta2?: number;
  /** 1e-8 by default. */
  readonly epsilon?: number;
  /** Decoupled decay; 0.01 by default, as in torch. */
  readonly weightDecay?: number;
}

/** What {@link adamWStep} hands on to the next step. */
export interface AdamWState {
  readonly parameter: F64Array;
  /** Running mean of the gradient. Absent before the first step, like the other two. */
  readonly mean?: F64Array;
  /** Running mean of the squared gradient. */
  readonly square?: F64Array;
  /** Steps done. */
  readonly step?: number;
}

/** One step of AdamW with bias correction (Loshchilov & Hutter 2019, algorithm 2 with torch's lr·weightDecay·p). */
export function adamWStep(
  state: AdamWState,
  gradient: F64Array,
  options: AdamWOptions,
): Required<AdamWState> {
  const { learningRate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0.01 } = options;
  const zeros = F64Array.full(state.parameter.shape);
  const { parameter, mean: oldMean = zeros, square: oldSquare = zeros } = state;
  const step = (state.step ?? 0) + 1;
  const mean = gradient.map((g, i) => beta1 * oldMean.data[i]! + (1 - beta1) * g);
  const square = gradient.map((g, i) => beta2 * oldSquare.data[i]! + (1 - beta2) * g * g);
  const updated = parameter.map((p, i) => {
    const correctedMean = mean.data[i]! / (1 - beta1 ** step);
    const correctedSquare = square.data[i]! / (1 - beta2 ** step);
    return p * (1 - learningRate * weightDecay) -
      learningRate * correctedMean / (Math.sqrt(correctedSquare) + epsilon);
  });
  return { parameter: updated, mean, square, step };
}

/**
 * Scales each client's gradients so that their joint Euclidean norm is at most `maxNorm`, as torch's `clip_grad_norm_`
 * does: by min(1, maxNorm / (norm + 1e-6)). Every gradient is [C, ...].
 *
 * @returns the scaled gradients and the norm of each client before scaling
 */
export function clipByClientNorm(
  gradients: readonly F64Array[],
  maxNorm: number,
): { gradients: F64Array[]; norms: number[] } {
  const clients = gradients[0]!.shape[0]!;
  const clientOf = (gradient: F64Array, i: number) => Math.floor(i / (gradient.size / clients));
  const squares = new Float64Array(clients);
  for (const gradient of gradients) gradient.data.forEach((g, i) => squares[clientOf(gradient, i)]! += g * g);
  const norms = Array.from(squares, Math.sqrt);
  const factors = norms.map((norm) => Math.min(1, maxNorm / (norm + 1e-6)));
  return {
    gradients: gradients.map((array) => array.map((g, i) => g * factors[clientOf(array, i)]!)),
    norms,
  };
}
