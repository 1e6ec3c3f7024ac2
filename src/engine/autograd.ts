import type { Tensor } from "./tensor.ts";

/** Gives the gradient of one input from the gradient of the output. */
export type GradientRule = (dy: Tensor) => Tensor;

let recording = true;

/** Runs `body` without recording gradients. */
export function noGrad<T>(body: () => T): T {
  const outer = recording;
  recording = false;
  try {
    return body();
  } finally {
    recording = outer;
  }
}

/**
 * Notes how `output` was made, where a gradient may be asked for: one rule an input. A rule runs only if its input
 * leads to a wanted leaf, so a frozen weight costs nothing.
 */
export function record(output: Tensor, inputs: readonly Tensor[], rules: readonly GradientRule[]): Tensor {
  if (recording && inputs.some((input) => input.tracked)) output.node = { inputs, rules };
  return output;
}

/** Whether gradients would be recorded for an operation on these inputs. */
export function isRecording(...inputs: readonly (Tensor | undefined)[]): boolean {
  return recording && inputs.some((input) => input?.tracked);
}
