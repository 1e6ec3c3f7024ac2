import type { Tensor } from "./tensor.ts";

/**
 * Gives the gradient of one input from the gradient `dy` of the output, in the input's shape or in one that the input was
 * broadcast to: the tape sums over the axes of that, once, where the gradient meets the input.
 *
 * `into`, where it is given, has the input's shape and undefined contents. A rule whose last kernel can write there does
 * so and returns `into` itself, as in `const dw = into ?? empty(gpu, shape)`; any other may ignore it, and its result
 * is copied.
 */
export type GradientRule = (dy: Tensor, into?: Tensor) => Tensor;

/**
 * Gives the gradients of several inputs at once, from the gradient `dy` of the output: of those that `wanted` names by
 * index, in its order. `into[i]` is, as in a {@linkcode GradientRule}, where the gradient of `wanted[i]` may be written.
 */
export type JointGradientRule = (
  dy: Tensor,
  wanted: readonly number[],
  into: readonly (Tensor | undefined)[],
) => Tensor[];

/** How a tensor came to be: the inputs of the operation, and a rule for each or one for all. */
export interface GradientNode {
  readonly inputs: readonly Tensor[];
  readonly rules: readonly GradientRule[] | JointGradientRule;
}

let recording = true;
let recorded: Set<Tensor> | null = null;

/** Runs `body` without recording gradients. */
export function noGrad<T>(body: () => T): T {
  return withRecording(false, body);
}

/** Runs `body` with recording on or off. */
export function withRecording<T>(on: boolean, body: () => T): T {
  const outer = recording;
  recording = on;
  try {
    return body();
  } finally {
    recording = outer;
  }
}

/** Runs `body`, recording, and tells which tensors it recorded the making of. */
export function listRecorded<T>(body: () => T): { result: T; recorded: ReadonlySet<Tensor> } {
  const outer = recorded;
  const own = recorded = new Set();
  try {
    return { result: withRecording(true, body), recorded: own };
  } finally {
    recorded = outer;
  }
}

/**
 * Notes how `output` was made, where a gradient may be asked for: one rule an input, or a joint one. A rule runs only if
 * its input leads to a wanted leaf, so a frozen weight costs nothing.
 */
export function record(
  output: Tensor,
  inputs: readonly Tensor[],
  rules: readonly GradientRule[] | JointGradientRule,
): Tensor {
  if (isRecording(...inputs)) {
    output.node = { inputs, rules };
    recorded?.add(output);
  }
  return output;
}

/** Whether gradients would be recorded for an operation on these inputs. */
export function isRecording(...inputs: readonly (Tensor | undefined)[]): boolean {
  return recording && inputs.some((input) => input?.tracked);
}

/** Whether gradients are recorded at all. */
export function canRecord(): boolean {
  return recording;
}
