import { baseModelOf, exportPeft, writeCheckpoint, writePeft } from "../../federa/mod.ts";
import type { LoadOptions } from "../load_data.ts";
import { openTrained, type TrainedModel } from "./open_trained.ts";
import { openTunedGpu } from "../open_tuned_gpu.ts";
import { ConfigError } from "../config/parse_config.ts";
import type { PeftSettings } from "./peft_description.ts";
import { join, resolve } from "node:path";

/** Options of {@linkcode exportAdapter}. */
export interface ExportCommandOptions extends LoadOptions, PeftSettings {
  /** The folder to write. */
  readonly output: string;
  /** See `exportPeft`. */
  readonly form: "original" | "converted";
}

/**
 * Writes a trained model's adapter as PEFT loads it. In the form `converted` the base that it belongs on goes into the folder
 * `base` in it.
 *
 * @param folder as for {@linkcode openTrained}.
 * @returns the paths of the files.
 * @throws {ConfigError} when the encoder is none that other programs have.
 */
export async function exportAdapter(folder: string, options: ExportCommandOptions): Promise<string[]> {
  using gpu = await openTunedGpu(options.reporter);
  const { model, pretrained, loaded, description: { maxLength } } = await openTrained(gpu, folder, options);
  const { files, family } = checkpointOf(loaded);
  const output = resolve(options.output);
  if (options.form === "original") {
    const base = await baseModelOf(files);
    const adapter = await exportPeft(model, { pretrained, family, base, form: "original" });
    return await writePeft(output, adapter, { files, maxLength });
  }
  const baseFolder = join(output, "base");
  const written = await writeCheckpoint(baseFolder, model, {
    family,
    files,
    weights: "frozen",
    onProgress: (done, total) => options.reporter.progress("writing", done, total),
  });
  options.reporter.endProgress();
  const adapter = await exportPeft(model, {
    pretrained,
    family,
    base: { name: baseFolder },
    form: "converted",
  });
  return [...written, ...await writePeft(output, adapter, { files, maxLength })];
}

/** The files and family of an encoder that `transformers` has, too. */
export function checkpointOf({ checkpoint, source }: TrainedModel["loaded"]) {
  if (checkpoint !== undefined) return checkpoint;
  throw new ConfigError(
    `Cannot write a model on ${source} for other programs: they don't have this encoder; take a BERT-like checkpoint`,
  );
}
