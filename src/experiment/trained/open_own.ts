import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Gpu, Precision } from "../../engine/mod.ts";
import { AdapterMismatchError, decodeAdapter, fingerprintOf } from "../../federa/mod.ts";
import { type Backbone, disposeReplaced, inPrecision, storedParameters } from "../../models/mod.ts";
import { TaskModel } from "../../tasks/mod.ts";
import { buildTask } from "../model/build_task.ts";
import { ConfigError } from "../config/parse_config.ts";
import { loadModel } from "../model/load_model.ts";
import { applyParameters } from "./apply_parameters.ts";
import { findOwnBase } from "./find_base.ts";
import { checkOutputNames } from "./labels.ts";
import { maxLengthFor } from "./max_length.ts";
import type { ModelDescription } from "./model_folder.ts";
import type { OpenTrainedOptions, TrainedModel } from "./open_trained.ts";

/** Options of {@linkcode openOwn}. */
export interface OpenOwnOptions extends OpenTrainedOptions {
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
  const precision = options.whole ? "f32" : recorded.precision;
  const loaded = await loadModel(gpu, { precision, model: { ...recorded.model, source } }, options);
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
  { fingerprint, precision }: ModelDescription,
  { folder, source, base, reporter }: OpenOwnOptions & { readonly source: string },
): Promise<void> {
  if (fingerprint === undefined) {
    if (base !== undefined) reporter.line(`Nothing in ${folder} says whether it was trained on ${source}`);
  } else if (await fingerprintIn(precision, encoder) !== fingerprint) {
    throw new AdapterMismatchError(
      `Cannot open the model in ${folder} on ${source}: it was trained on an encoder with other weights; ` +
        "give that one as --base",
    );
  }
}

/** The fingerprint of an encoder as it is stored in a precision, which it may be already. */
async function fingerprintIn(precision: Precision, encoder: Backbone): Promise<string> {
  const isStored = [...storedParameters(encoder, precision)].every(({ dtype }) => dtype === precision);
  if (isStored) return await fingerprintOf(encoder);
  const stored = inPrecision(encoder, precision);
  try {
    return await fingerprintOf(stored);
  } finally {
    disposeReplaced(stored, encoder);
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
