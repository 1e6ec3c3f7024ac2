import type { Tensor } from "./tensor.ts";

/**
 * Computes the gradient of one input from `dy`, the gradient of the output. The result has the input's shape, or a shape
 * that the input was broadcast to: the tape then sums over the broadcast axes.
 *
 * `into`, if given, has the input's shape and undefined contents. A rule whose last kernel can write there does so and
 * returns `into` itself, as in `const dw = into ?? empty(gpu, shape)`. Other rules may ignore it; their result is copied.
 */
export type GradientRule = (dy: Tensor, into?: Tensor) => Tensor;

/**
 * Computes the gradients of several inputs at once from `dy`, the gradient of the output: those of the inputs with the
 * indices `wanted`, in that order. The gradient of input `wanted[i]` may be written to `into[i]`, as in a
 * {@linkcode GradientRule}.
 */
export type JointGradientRule = (
  dy: Tensor,
  wanted: readonly number[],
  into: readonly (Tensor | undefined)[],
) => Tensor[];

/** The operation that made a tensor: its inputs, and a gradient rule for each or one for all. */
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

/** Runs `body` with recording on and returns its result and the tensors whose operations it recorded. */
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
 * Records how `output` was made, if a gradient can flow to one of its inputs, with one rule for each input or a joint
 * rule. A rule runs only if its input leads to a leaf whose gradient is wanted, so a frozen weight costs nothing.
 *
 * @param reads the inputs whose elements the rules read, and the output if they read that; by default all of them. The others may
 *   be freed before the backward pass, see {@linkcode Tensor.forget}.
 */
export function record(
  output: Tensor,
  inputs: readonly Tensor[],
  rules: readonly GradientRule[] | JointGradientRule,
  reads: readonly Tensor[] = [...inputs, output],
): Tensor {
  if (isRecording(...inputs)) {
    output.node = { inputs, rules };
    for (const each of reads) each.isRead = true;
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
