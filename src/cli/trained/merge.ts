import { resolve } from "node:path";
import { writeCheckpoint } from "../../federa/mod.ts";
import { checkpointOf } from "./export.ts";
import type { LoadOptions } from "../load_data.ts";
import { openTrained } from "./open_trained.ts";
import { openTunedGpu } from "../open_tuned_gpu.ts";
import type { TrainedSettings } from "./trained_settings.ts";
import { writeTaskNote } from "./task_note.ts";

/** Options of {@linkcode mergeModel}. */
export interface MergeCommandOptions extends LoadOptions, TrainedSettings {
  /** The folder to write. */
  readonly output: string;
}

/**
 * Writes a trained model, adapters multiplied out, as a checkpoint that `transformers` loads, and beside it a note of the task's settings
 * for the commands here.
 *
 * @param folder as for {@linkcode openTrained}.
 * @returns the paths of the files.
 */
export async function mergeModel(folder: string, options: MergeCommandOptions): Promise<string[]> {
  using gpu = await openTunedGpu(options.reporter);
  const { model, loaded, description } = await openTrained(gpu, folder, options);
  const output = resolve(options.output);
  const written = await writeCheckpoint(output, model, {
    ...checkpointOf(loaded),
    weights: "merged",
    maxLength: description.maxLength,
    onProgress: (done, total) => options.reporter.progress("writing", done, total),
  });
  options.reporter.endProgress();
  return [...written, await writeTaskNote(output, description)];
}
