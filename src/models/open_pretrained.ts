import type { ModelFiles } from "../hub/files/model_files.ts";
import type { Gpu, Precision } from "../engine/mod.ts";
import { type EncoderConfig, readEncoderConfig } from "./encoder_config.ts";
import type { EncoderOptions } from "./family.ts";
import { type LoadedEncoder, loadEncoder } from "./load_encoder.ts";
import { openWeights } from "./weights/open_weights.ts";

/** Options of {@linkcode openPretrained}. */
export interface OpenPretrainedOptions extends EncoderOptions {
  /** How linear weights and embedding tables are stored; see `inPrecision`. `f32` by default. */
  readonly precision?: Precision | undefined;
  /** Called after each tensor; at the end with `done` equal to `total`. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What {@linkcode openPretrained} gives. */
export interface PretrainedEncoder extends LoadedEncoder, EncoderConfig {}

/**
 * A pretrained encoder from the files of its model: `config.json` names the family, then the weights are read one tensor at a
 * time. See {@linkcode readSentencePooling} for how sentence encoders pool.
 *
 * @throws {ModelConfigError} when there is no `config.json`, or it asks for what isn't supported.
 * @throws {WeightsUnavailableError} when there are no weights that are read.
 * @throws {ParameterMismatchError} listing every tensor that is missing, unknown, or of another shape or an unreadable type.
 * @throws {CorruptFileError} naming the file and what is wrong with it.
 * @throws {TypeError} when it should pool by a dense layer that the weights don't have.
 * @example
 * ```ts no-run
 * const { encoder, family } = await openPretrained(gpu, files);
 * const model = TaskModel.create(gpu, encoder, { task, seed: 1 });
 * ```
 */
export async function openPretrained(
  gpu: Gpu,
  files: ModelFiles,
  options: OpenPretrainedOptions = {},
): Promise<PretrainedEncoder> {
  const read = await readEncoderConfig(files);
  const weights = await openWeights(files);
  try {
    return {
      ...read,
      ...await loadEncoder(gpu, weights, { ...options, ...read, reopen: () => openWeights(files) }),
    };
  } finally {
    await weights.close();
  }
}
