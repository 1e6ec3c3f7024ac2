import { canRecord, listRecorded, record, withRecording } from "./autograd.ts";
import { backpropagate } from "./backward.ts";
import type { Tensor } from "./tensor.ts";
import { tidy } from "./tidy.ts";

/**
 * Runs `body` and keeps only its inputs for the backward pass, which runs `body` again (Chen et al., arXiv 1604.06174).
 * Activations then take the memory of the results and of one body at a time, for about a third more work.
 *
 * Gradients flow to the inputs and to everything else that `body` uses, such as the parameters of a layer. They have the
 * same bits as without a checkpoint, unless a tensor is used both outside and several times in `body`: its sum is then
 * grouped differently. `body` must do the same each time, so randomness must come from keys, as in `dropout`. Tensors
 * that it captures must live until the backward pass, and variables that it captures must not change: pass those as inputs.
 *
 * @example
 * ```ts no-run
 * for (const layer of layers) x = checkpoint((h) => layer.forward(h), x);
 * ```
 */
export function checkpoint<Inputs extends readonly Tensor[]>(
  body: (...inputs: Inputs) => Tensor,
  ...inputs: Inputs
): Tensor {
  if (!canRecord()) return tidy(() => body(...inputs));
  const { output, sources } = tidy(() => {
    const { result, recorded } = listRecorded(() => body(...inputs));
    if (!recorded.has(result)) return { output: result, sources: [] };
    const sources = sourcesOf(result, recorded);
    result.node = null;
    return { output: result, sources };
  });
  if (sources.length === 0) return output;
  return record(
    output,
    sources,
    (dy, wanted, into) =>
      backpropagate(withRecording(true, () => body(...inputs)), dy, {
        leaves: wanted.map((i) => sources[i]!),
        into,
        stopAtLeaves: true,
      }),
  );
}

/** The tracked tensors from outside that a result depends on. */
function sourcesOf(result: Tensor, recorded: ReadonlySet<Tensor>): Tensor[] {
  const sources = new Set<Tensor>();
  const seen = new Set([result]);
  for (const { node } of seen) {
    for (const input of node?.inputs ?? []) {
      if (recorded.has(input)) seen.add(input);
      else if (input.tracked) sources.add(input);
    }
  }
  return [...sources];
}
