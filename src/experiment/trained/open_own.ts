import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Gpu } from "../../engine/mod.ts";
import { AdapterMismatchError, decodeAdapter, fingerprintOf } from "../../federa/mod.ts";
import { TaskModel } from "../../tasks/mod.ts";
import { buildTask } from "../model/build_task.ts";
import { ConfigError } from "../config/parse_config.ts";
import type { LoadOptions } from "../data/load_data.ts";
import { loadModel } from "../model/load_model.ts";
import { applyParameters } from "./apply_parameters.ts";
import { findOwnBase } from "./find_base.ts";
import { checkOutputNames } from "./labels.ts";
import { maxLengthFor } from "./max_length.ts";
import type { ModelDescription } from "./model_folder.ts";
import type { TrainedModel } from "./open_trained.ts";
import type { TrainedSettings } from "./trained_settings.ts";

/** Options of {@linkcode openOwn}. */
export interface OpenOwnOptions extends LoadOptions, TrainedSettings {
  /** Where the model is. */
  readonly folder: string;
}

/**
 * Opens what `federa run` has left.
 *
 * @throws {ConfigError} when its base or its weights aren't there, or what a person says doesn't fit it.
 * @throws {AdapterMismatchError} when the base isn't the one that it was trained on.
 * @throws what loading the encoder or the adapter throws.
 */
export async function openOwn(
  gpu: Gpu,
  recorded: ModelDescription,
  options: OpenOwnOptions,
): Promise<TrainedModel> {
  const { folder } = options;
  const labels = labelsFor(recorded, options);
  const source = await findOwnBase(folder, recorded.model.source, options);
  // First, as the encoder takes longer to load.
  const bytes = await readWeights(join(folder, recorded.weights));
  const loaded = await loadModel(gpu, { ...recorded, model: { ...recorded.model, source } }, options);
  const { encoder, tokenizer } = loaded;
  const description = {
    ...recorded,
    model: { ...recorded.model, source: loaded.source },
    labels,
    maxLength: maxLengthFor(loaded, { given: options.maxLength, recorded: recorded.maxLength }),
  };
  const pretrained = TaskModel.create(gpu, encoder, { task: buildTask(recorded.task, labels), seed: 0 });
  await checkFingerprint(pretrained, recorded, { ...options, source: loaded.source });
  const model = recorded.weights === "adapter.safetensors"
    ? await decodeAdapter(pretrained, bytes)
    : applyParameters(pretrained, bytes);
  return { model, pretrained, loaded, tokenizer, description };
}

function labelsFor(recorded: ModelDescription, { folder, task, labels }: OpenOwnOptions): string[] {
  const { kind } = recorded.task;
  if (task !== undefined && task !== kind) {
    throw new ConfigError(`Cannot use the model in ${folder} for ${task}: it was trained for ${kind}`);
  }
  if (labels === undefined) return recorded.labels;
  return checkOutputNames(labels, {
    model: folder,
    task: kind,
    numOutputs: recorded.labels.length,
    from: "--labels",
  });
}

/** @throws {AdapterMismatchError} when training started from another encoder. */
async function checkFingerprint(
  { encoder }: TaskModel,
  { fingerprint }: ModelDescription,
  { folder, source, base, reporter }: OpenOwnOptions & { readonly source: string },
): Promise<void> {
  if (fingerprint === undefined) {
    if (base !== undefined) reporter.line(`Nothing in ${folder} says whether it was trained on ${source}`);
  } else if (await fingerprintOf(encoder) !== fingerprint) {
    throw new AdapterMismatchError(
      `Cannot open the model in ${folder} on ${source}: it was trained on an encoder with other weights; ` +
        "give that one as --base",
    );
  }
}

async function readWeights(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new ConfigError(`Cannot read ${path}: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
}
