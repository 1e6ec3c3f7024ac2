import { noGrad, NonFiniteError, tidy } from "../../engine/mod.ts";
import type { Backbone } from "../../models/mod.ts";
import { meanPool } from "../../models/pooling.ts";
import type { TaskSet } from "../task_set.ts";
import { uploadInputs } from "./_upload_rows.ts";
import { planEvaluation } from "./evaluation_plan.ts";
import type { EvaluateOptions } from "./run_model.ts";

/** A vector for each example. */
export interface ExampleEmbeddings {
  /** [numExamples, size]. */
  readonly data: Float64Array;
  /** The encoder's hidden size. */
  readonly size: number;
}

/**
 * Embeds examples by the mean of an encoder's states over their tokens; where an example has several rows, by the mean of their
 * means. A row's bits don't depend on the others, but they do on the adapter.
 *
 * @throws {TypeError} if the inputs don't say which tokens are padding.
 * @throws {RangeError} if an example has no row, or a token has no embedding in the encoder.
 * @throws {NonFiniteError} if a state isn't finite.
 */
export async function embedExamples(
  encoder: Backbone,
  set: TaskSet,
  { batchSize, onProgress }: EvaluateOptions = {},
): Promise<ExampleEmbeddings> {
  const { size, numExamples, firstRows } = set;
  if (set.inputs.attentionMask === undefined) {
    throw new TypeError("Cannot embed examples: expected inputs with an attentionMask, got none");
  }
  encoder.checkInputs(set.inputs);
  const width = encoder.hiddenSize;
  const { value: first } = encoder.namedParameters().next();
  const { gpu } = first![1];
  const ofRows = new Float32Array(size * width);
  let done = 0;
  for (const batch of planEvaluation(set, { batchSize, packsTokens: encoder.packsTokens })) {
    const { rows } = batch;
    const states = tidy(() =>
      noGrad(() => {
        const inputs = uploadInputs(gpu, set, batch);
        return meanPool(encoder.encode(inputs), inputs.attentionMask!);
      })
    );
    const found = await states.floats();
    states.dispose();
    rows.forEach((row, i) => ofRows.set(found.subarray(i * width, (i + 1) * width), row * width));
    done += rows.length;
    onProgress?.(done, size);
  }
  const data = new Float64Array(numExamples * width);
  for (let example = 0; example < numExamples; example++) {
    const [from, to] = [firstRows[example]!, firstRows[example + 1]!];
    if (from === to) {
      throw new RangeError(`Cannot embed example ${example}: expected at least one row of tokens, got none`);
    }
    for (let d = 0; d < width; d++) {
      let sum = 0;
      for (let row = from; row < to; row++) sum += ofRows[row * width + d]!;
      if (!Number.isFinite(sum)) {
        throw new NonFiniteError(`Cannot embed example ${example}: expected finite states, got ${sum}`);
      }
      data[example * width + d] = sum / (to - from);
    }
  }
  return { data, size: width };
}
