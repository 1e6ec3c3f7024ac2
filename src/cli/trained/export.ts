import { baseModelOf, exportPeft, writeCheckpoint, writePeft } from "../../federa/mod.ts";
import type { LoadOptions } from "../../experiment/data/load_data.ts";
import { openTrained, type TrainedModel } from "../../experiment/trained/open_trained.ts";
import { writeModelCard } from "../../experiment/trained/model_card.ts";
import { writeTaskNote } from "../../experiment/trained/task_note.ts";
import { openTunedGpu } from "../../experiment/gpu/open_tuned_gpu.ts";
import { ConfigError } from "../../experiment/config/parse_config.ts";
import type { TrainedSettings } from "../../experiment/trained/trained_settings.ts";
import { join, resolve } from "node:path";

/** Options of {@linkcode exportAdapter}. */
export interface ExportCommandOptions extends LoadOptions, TrainedSettings {
  /** The folder to write. */
  readonly output: string;
  /** See `exportPeft`. */
  readonly form: "original" | "converted";
}

/**
 * Writes a trained model's adapter as PEFT loads it, with a model card and a note of the task, its settings and its labels, which
 * PEFT's files have no place for. In the form `converted`, the base that the adapter fits is written into its folder `base`.
 *
 * @param folder as for {@linkcode openTrained}.
 * @returns the paths of the files.
 * @throws {ConfigError} when the encoder is none that other programs have.
 */
export async function exportAdapter(folder: string, options: ExportCommandOptions): Promise<string[]> {
  const { form, reporter } = options;
  using gpu = await openTunedGpu(reporter);
  const { model, pretrained, loaded, description } = await openTrained(gpu, folder, {
    ...options,
    whole: true,
  });
  const { files, family } = checkpointOf(loaded);
  const output = resolve(options.output);
  const written: string[] = [];
  let base = await baseModelOf(files);
  if (form === "converted") {
    base = { name: join(output, "base") };
    written.push(
      ...await writeCheckpoint(base.name, model, {
        family,
        files,
        weights: "frozen",
        onProgress: (done, total) => reporter.progress("writing", done, total),
      }),
    );
    reporter.endProgress();
  }
  const adapter = await exportPeft(model, { pretrained, family, base, form });
  written.push(...await writePeft(output, adapter, { files, maxLength: description.maxLength }));
  written.push(await writeTaskNote(output, description));
  const card = await writeModelCard(output, { adapter, task: model.task });
  return card === undefined ? written : [...written, card];
}

/** The files and family of an encoder that `transformers` also has. */
export function checkpointOf({ checkpoint, source }: TrainedModel["loaded"]) {
  if (checkpoint !== undefined) return checkpoint;
  throw new ConfigError(
    `Cannot write a model on ${source} for other programs: they don't have this encoder; take a BERT-like checkpoint`,
  );
}
