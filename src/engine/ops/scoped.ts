import { isRecording } from "../autograd.ts";
import type { Tensor } from "../tensor.ts";
import { tidy } from "../tidy.ts";

/**
 * Runs an operation made of others. Where nothing is recorded, what it makes on the way is freed at once, so that it
 * leaves only its result behind even outside a {@linkcode tidy}.
 */
export function scoped(inputs: readonly Tensor[], body: () => Tensor): Tensor {
  return isRecording(...inputs) ? body() : tidy(body);
}
