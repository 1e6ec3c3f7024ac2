/**
 * Makes something of a model's outputs on a set row by row, as they come, and keeps no more of them than that takes: a class, a
 * span, a number. So the outputs of a large set are never held at once.
 *
 * @example
 * ```ts no-run
 * const scorer = model.task.scorer(set);
 * await runModel(model, set, { onRow: (row, { outputs }) => scorer.add(row, outputs) });
 * const { accuracy } = scorer.finish();
 * ```
 */
export interface OutputReader<Result> {
  /**
   * Reads the outputs of one row, which the caller may overwrite afterwards. Rows may come in any order, each once.
   *
   * @param outputs [K], or [t, K] of the row's first t tokens where the task asks for each token's; the other tokens are padding.
   * @throws {TypeError} unless there are as many outputs as the task has.
   * @throws {RangeError} if the set has no such row, or it has come before.
   * @throws {NonFiniteError} naming the row, if one of its outputs isn't finite.
   */
  add(row: number, outputs: Float32Array): void;
  /**
   * The result for the whole set.
   *
   * @throws {RangeError} naming the first row that hasn't come.
   */
  finish(): Result;
}

/**
 * Reads outputs that are held whole.
 *
 * @param outputs [N, K], or [N, T, K] where the task asks for each token's.
 * @throws {TypeError} unless each of the set's rows has as many outputs as the task asks for; and what the reader throws.
 *
 * @example
 * ```ts no-run
 * const { outputs } = await modelOutputs(model, set);
 * const predictions = readOutputs(model.task.predictor(set), set, outputs);
 * ```
 */
export function readOutputs<Result>(
  reader: OutputReader<Result>,
  { size }: { readonly size: number },
  outputs: Float32Array,
): Result {
  const width = size === 0 ? 0 : outputs.length / size;
  if (width * size !== outputs.length || !Number.isInteger(width)) {
    throw new TypeError(
      `Cannot read outputs: expected equally many for each of ${size} rows, got ${outputs.length} in all`,
    );
  }
  for (let row = 0; row < size; row++) reader.add(row, outputs.subarray(row * width, (row + 1) * width));
  return reader.finish();
}
