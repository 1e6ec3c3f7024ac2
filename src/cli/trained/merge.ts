import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isObject } from "../../data/rows/json/is_object.ts";
import { writeCheckpoint } from "../../federa/mod.ts";
import { checkpointOf } from "./export.ts";
import { ConfigError } from "../../experiment/config/parse_config.ts";
import type { LoadOptions } from "../../experiment/data/load_data.ts";
import { openTrained } from "../../experiment/trained/open_trained.ts";
import { openTunedGpu } from "../../experiment/gpu/open_tuned_gpu.ts";
import type { TrainedSettings } from "../../experiment/trained/trained_settings.ts";
import { writeTaskNote } from "../../experiment/trained/task_note.ts";

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
 * @throws {ConfigError} when the folder has a `config.json` of something else, such as of a run.
 */
export async function mergeModel(folder: string, options: MergeCommandOptions): Promise<string[]> {
  const output = resolve(options.output);
  await checkNoOtherConfig(output);
  using gpu = await openTunedGpu(options.reporter);
  const { model, loaded, description } = await openTrained(gpu, folder, { ...options, whole: true });
  const written = await writeCheckpoint(output, model, {
    ...checkpointOf(loaded),
    weights: "merged",
    maxLength: description.maxLength,
    onProgress: (done, total) => options.reporter.progress("writing", done, total),
  });
  options.reporter.endProgress();
  return [...written, await writeTaskNote(output, description)];
}

/** A checkpoint's configuration has the same name as many people's run configurations, which must not be replaced. */
async function checkNoOtherConfig(folder: string): Promise<void> {
  const path = join(folder, "config.json");
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined || isCheckpoint(text)) return;
  throw new ConfigError(
    `Cannot write a checkpoint into ${folder}: the config.json there is none of a model and would be replaced; name another folder`,
  );
}

function isCheckpoint(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) && "model_type" in value;
  } catch {
    return false;
  }
}
