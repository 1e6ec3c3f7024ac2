import { canRecord, listRecorded, record, withRecording } from "./autograd.ts";
import { backpropagate } from "./backward.ts";
import type { Tensor } from "./tensor.ts";
import { tidy } from "./tidy.ts";

/**
 * The result of `body`, of which nothing is kept for the backward pass but its inputs: there `body` runs a second time
 * (Chen et al., arXiv 1604.06174). Memory for activations becomes that of the results and of one body at a time, for about a
 * third more work.
 *
 * Gradients flow to the inputs and to whatever else `body` uses, such as the parameters of a layer. They are those
 * without a checkpoint, bit for bit, unless a tensor is used several times in `body` and elsewhere too, where sums are
 * grouped differently. `body` must do the same each time: randomness comes from keys, as in `dropout`. Tensors that it finds
 * outside must live until the backward pass; `let` variables must not have changed, so pass what does as an input.
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

/** The tracked tensors from outside that a result was made of. */
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
