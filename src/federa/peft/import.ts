import { disposeAll, type Layer, Linear, type Tensor, tensor } from "../../engine/mod.ts";
import { toFloat32 } from "../../models/weights/dtype.ts";
import { CorruptFileError } from "../../models/errors.ts";
import type { EncoderFamily } from "../../models/family.ts";
import type { WeightSource } from "../../models/weights/weight_source.ts";
import { type TaskModel, transformersNames } from "../../tasks/mod.ts";
import { AdapterMismatchError } from "../errors.ts";
import { adaptLinear } from "./_adapt_linear.ts";
import { findContradictions, findMismatches } from "./_check_import.ts";
import { showName, sortTensors } from "./_tensor_names.ts";
import type { PeftConfig } from "./config.ts";

/** An adapter made by PEFT. */
export interface PeftAdapter {
  /** Where it comes from, for messages. */
  readonly source: string;
  readonly config: PeftConfig;
  /** The tensors of its `adapter_model.safetensors`. */
  readonly weights: Pick<WeightSource, "entries" | "read">;
}

/** Options of {@linkcode importPeft}. */
export interface ImportPeftOptions {
  /** The family that the model's encoder is of. */
  readonly family: EncoderFamily | undefined;
  /** Called after each layer; at the end with `done` equal to `total`. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What {@linkcode importPeft} gives. */
export interface ImportedPeft {
  /** The adapted model, which shares every other tensor with the pretrained one. */
  readonly model: TaskModel;
  /** Names of the adapted layers. */
  readonly layers: readonly string[];
  /** Names of the parameters that the adapter replaced, as those of a head. */
  readonly parameters: readonly string[];
}

/**
 * Puts an adapter made by PEFT on the model it was made for. The names of its tensors say which layers it adapts;
 * modules that it holds whole (`modules_to_save`) and biases take the place of the model's.
 *
 * - LoRA, rank-stabilised or not, becomes a {@linkcode LowRankLinear} on the pretrained weight.
 * - PiSSA's frozen weight is what its start left of the pretrained one, W − s·B₀·A₀ of the exact SVD, as PEFT computes it
 *   again when it loads such an adapter: the same to rounding, not to the bit.
 * - DoRA becomes a {@linkcode DoraLinear}, row by row m·(W + s·B·A)/‖W + s·B·A‖.
 *
 * @throws {NoCounterpartError} when `transformers` has no such model.
 * @throws {CorruptFileError} when the tensors contradict each other or the configuration, or aren't finite.
 * @throws {AdapterMismatchError} when the adapter is for another model; lists all that is missing or misshapen.
 * @throws {UnsupportedAdapterError} when PiSSA's start isn't determined by the weight, as it has two singular values alike.
 * @example
 * ```ts no-run
 * const adapter = await openPeftAdapter(files);
 * const { model } = await importPeft(pretrained, adapter, { family: robertaFamily });
 * ```
 */
export async function importPeft(
  pretrained: TaskModel,
  adapter: PeftAdapter,
  options: ImportPeftOptions,
): Promise<ImportedPeft> {
  const { config, weights: { entries } } = adapter;
  const names = transformersNames(pretrained, options.family);
  const sorted = sortTensors(entries.keys());
  const problems = [...sorted.problems, ...findContradictions(sorted, entries, config)];
  if (problems.length > 0) throw new CorruptFileError(message(adapter, problems));
  const parts = { ...sorted, entries, config, linears: linearLayers(pretrained) };
  const mismatches = findMismatches(pretrained, names, parts);
  if (mismatches.length > 0) throw new AdapterMismatchError(message(adapter, mismatches));
  const own: Tensor[] = [];
  const read = async (name: string) => {
    const loaded = await readFinite(pretrained, adapter, name);
    own.push(loaded);
    return loaded;
  };
  try {
    const parameters = new Map<string, Tensor>();
    for (const [theirs, name] of sorted.parameters) {
      parameters.set(names.fromTransformers(theirs), await read(name));
    }
    const replaced = pretrained.mapParameters((name, parameter) => parameters.get(name) ?? parameter);
    const linears = linearLayers(replaced);
    const layers = new Map<string, Layer>();
    for (const [theirs, { loraA, loraB, magnitude }] of sorted.layers) {
      const name = names.fromTransformers(theirs);
      const adapted = await adaptLinear(linears.get(name)!, {
        name,
        loraA: await read(loraA!),
        loraB: await read(loraB!),
        magnitude: magnitude === undefined ? undefined : await read(magnitude),
        scaling: config.settingsOf(theirs).scaling,
        isPissa: config.isPissa,
      });
      own.push(...adapted.own);
      layers.set(name, adapted.layer);
      options.onProgress?.(layers.size, sorted.layers.size);
    }
    return {
      model: replaced.mapModules((name, module) => layers.get(name) ?? module),
      layers: [...layers.keys()],
      parameters: [...parameters.keys()],
    };
  } catch (error) {
    disposeAll(own);
    throw error;
  }
}

function linearLayers(model: TaskModel): Map<string, Linear> {
  return new Map(
    [...model.namedModules()].flatMap(([name, module]) => module instanceof Linear ? [[name, module]] : []),
  );
}

function message({ source }: PeftAdapter, problems: readonly string[]): string {
  return `Cannot load the adapter of ${source}:\n  ${problems.join("\n  ")}`;
}

async function readFinite(
  { gpu }: TaskModel,
  { source, weights }: PeftAdapter,
  name: string,
): Promise<Tensor> {
  const stored = await weights.read(name);
  const data = toFloat32(stored);
  const bad = data.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new CorruptFileError(
      `Cannot load the adapter of ${source}: element ${bad} of ${showName(name)} is ${data[bad]}`,
    );
  }
  return tensor(gpu, data, { shape: stored.shape });
}
