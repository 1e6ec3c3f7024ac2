import { isRecording } from "../autograd.ts";
import type { Tensor } from "../tensor.ts";
import { tidy } from "../tidy.ts";

/**
 * Runs an operation that consists of others. If nothing is recorded, intermediate tensors are freed at once, so that only
 * the result remains, even outside a {@linkcode tidy}.
 */
export function scoped(inputs: readonly Tensor[], body: () => Tensor): Tensor {
  return isRecording(...inputs) ? body() : tidy(body);
}
