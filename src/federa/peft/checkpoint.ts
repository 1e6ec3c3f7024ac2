import { join, resolve } from "node:path";
import { makeFolder, writeFileAtomic } from "../../data/files/write_file.ts";
import type { LocalModelFiles } from "../../hub/files/model_files.ts";
import { disposeAll, toFloat } from "../../engine/mod.ts";
import type { EncoderFamily } from "../../models/family.ts";
import type { WeightEntry } from "../../models/weights/weight_source.ts";
import { saveWeights, type SaveWeightsOptions } from "../../models/weights/save_weights.ts";
import { type TaskModel, type TransformersNames, transformersNames } from "../../tasks/mod.ts";
import { checkMergeable } from "../adapters.ts";
import { kindOf } from "../kinds/mod.ts";
import { AdaptedLinear, adaptedLinears } from "../layers/adapted_linear.ts";
import { checkFactorsAlone } from "./_check_factors.ts";
import { taskModelConfig } from "./_model_config.ts";
import { finite, sentenceHeadOf, writeSentenceModules } from "./_sentence_modules.ts";
import { copyTokenizer } from "./tokenizer_files.ts";

/** Options of {@linkcode writeCheckpoint}. */
export interface WriteCheckpointOptions extends Omit<SaveWeightsOptions, "metadata"> {
  /** The family that the model's encoder is of. */
  readonly family: EncoderFamily | undefined;
  /** The files that the encoder was loaded from: `config.json` is completed, a tokenizer's files are copied. */
  readonly files: LocalModelFiles;
  /**
   * Of adapted layers, `merged`: W + s·B·A, the model as it is. `frozen`: what is frozen beside the factors, as a base for
   * {@linkcode exportPeft} in the form `converted`.
   */
  readonly weights: "merged" | "frozen";
  /** Tokens of a text, for {@linkcode writeCheckpoint}'s folders of `sentence-transformers`. */
  readonly maxLength?: number | undefined;
}

/** A tensor of a checkpoint, which is computed when it is written. */
interface Part extends WeightEntry {
  compute(): Promise<Float32Array>;
}

/**
 * Writes a model as a checkpoint that `transformers` loads: `config.json`, weights in float32 under that package's names, and
 * the tokenizer's files. One tensor is in memory at a time.
 *
 * `transformers` has no class for a head on pooled states: then the checkpoint is the bare encoder, and a merged one also has
 * the files with which `SentenceTransformer(folder).encode(texts)` gives the model's outputs.
 *
 * @throws {NoCounterpartError} when `transformers` has no such model.
 * @throws {NonFiniteError} when a value is NaN or infinite.
 * @throws {UnmergeableError} when an adapter can't be multiplied out.
 * @throws {AdapterMismatchError} of `frozen` weights, when an adapter is none that PEFT puts on such a base.
 * @throws {TypeError} when the encoder's files have no `config.json`, or are in the same folder.
 * @throws {Error} naming the path, if it cannot be written.
 * @returns the paths of the files.
 * @example
 * ```ts no-run
 * await writeCheckpoint("merged", model, { family: robertaFamily, files, weights: "merged" });
 * ```
 */
export async function writeCheckpoint(
  folder: string,
  model: TaskModel,
  options: WriteCheckpointOptions,
): Promise<string[]> {
  const { family, files, weights, maxLength, onProgress, ...rest } = options;
  const names = transformersNames(model, family);
  if (weights === "merged") checkMergeable(model, `write a checkpoint into ${folder}`);
  else checkFactorsAlone(model);
  const config = await taskModelConfig(files, { architecture: names.architecture, task: model.task });
  // Of linear layers the merged weights are made one at a time, when they are written.
  const ordinary = model.mapModules((_, module) =>
    module instanceof AdaptedLinear ? module : kindOf(module)?.merged?.(module) ?? module
  );
  const parts = partsOf(ordinary, names, weights);
  await makeFolder(folder);
  if (resolve((await files.path("config.json"))!) === resolve(folder, "config.json")) {
    throw new TypeError(`Cannot write a checkpoint into ${folder}: it is made of the one there`);
  }
  const written = await saveWeights(folder, {
    entries: parts,
    read: async (name) => {
      const { shape, compute } = parts.get(name)!;
      return { dtype: "F32", shape, data: await compute() };
    },
  }, { ...rest, metadata: { format: "pt" }, ...onProgress && { onProgress } });
  const kept = new Set([...model.namedParameters()].map(([, parameter]) => parameter));
  disposeAll(
    [...ordinary.namedParameters()].flatMap(([, parameter]) => kept.has(parameter) ? [] : [parameter]),
  );
  const copied = await copyTokenizer(files, folder);
  const modules = names.sentencePooling === undefined || weights === "frozen"
    ? []
    : await writeSentenceModules(folder, await sentenceHeadOf(model, names.sentencePooling), { maxLength });
  await writeFileAtomic(join(folder, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
  return [...written, ...copied, ...modules, "config.json"].map((name) => join(folder, name));
}

/** The tensors by the names that `transformers` has for them. */
function partsOf(
  model: TaskModel,
  names: TransformersNames,
  weights: WriteCheckpointOptions["weights"],
): Map<string, Part> {
  const adapters = adaptedLinears(model);
  const parts = new Map<string, Part>();
  for (const [name, parameter] of model.namedParameters()) {
    const adapter = adapters.get(name.slice(0, name.lastIndexOf(".")));
    const theirs = names.toTransformers(name);
    if (theirs === undefined || adapter !== undefined && !/\.(weight|bias)$/.test(name)) continue;
    const isMerged = adapter !== undefined && weights === "merged" && name.endsWith(".weight");
    parts.set(theirs, {
      dtype: "F32",
      shape: parameter.shape,
      compute: () => finite(name, () => isMerged ? adapter.effectiveWeight() : toFloat(parameter)),
    });
  }
  return parts;
}
