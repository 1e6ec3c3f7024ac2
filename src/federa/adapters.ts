import { disposeAll, formatShape, Linear, type Module, type Tensor } from "../engine/mod.ts";
import { UnmergeableError } from "./errors.ts";
import { adaptedModules, kindOf } from "./kinds/mod.ts";
import { type Initialization, layerOf } from "./starts/initialization.ts";
import { AdaptedLinear } from "./layers/adapted_linear.ts";
import { DoraLinear } from "./layers/dora_linear.ts";
import { FactoredLinear } from "./layers/factored/factored_linear.ts";
import { LowRankLinear } from "./layers/factored/low_rank_linear.ts";
import {
  checkLayerPatterns,
  type LayerSettings,
  layerSettings,
  type LayerSettingsOptions,
} from "./patterns/layer_settings.ts";
import { matchLinears } from "./patterns/patterns.ts";

/** Which layers are adapted, with which ranks (from 1 to the smaller side of each weight) and scales. */
export interface AdaptedLayersOptions extends LayerSettingsOptions {
  /** Name patterns of the linear layers to adapt; see {@linkcode matchesPattern}. */
  readonly targets: readonly string[];
}

/** Options of {@linkcode attachAdapters}. */
export interface AttachAdaptersOptions extends AdaptedLayersOptions {
  /** `lora`, `federa()` or another start. */
  readonly initialization: Initialization;
  /** Whether rows of the weights get lengths of their own, which are trained too; see {@linkcode DoraLinear}. */
  readonly dora?: boolean | undefined;
  /** Seed of whatever the initialisation draws; 0 by default. */
  readonly seed?: number;
  /** Called after some layers, at least once for each shape of weights; at the end with `done` equal to `total`. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * A copy of a model whose matching linear layers carry a low-rank adapter. The copy shares every other tensor with the
 * model, so several adapters live side by side on one set of frozen weights.
 *
 * @throws {RangeError} when the rank doesn't fit a layer, alpha isn't positive, or a row that `dora` should scale is zero.
 * @throws {PatternError} when a pattern matches no linear layer, or one of the ranks and alphas no adapted one.
 * @throws what `initialization` and `onProgress` throw; nothing is left on the device then.
 * @example
 * ```ts no-run
 * const adapted = await attachAdapters(model, {
 *   targets: ["**.attention.*"], rank: 8, alpha: 8, initialization: federa(),
 * });
 * ```
 */
export async function attachAdapters<M extends Module>(model: M, options: AttachAdaptersOptions): Promise<M> {
  const { initialization, dora = false, seed = 0, onProgress } = options;
  const linears = findLinears(model, options);
  const adapted = new Map<string, FactoredLinear | DoraLinear>();
  try {
    for (const { names, rank, scaling } of likeLayers(linears, options)) {
      const layers = names.map((name) => linears.get(name)!);
      const before = adapted.size;
      const options = {
        rank,
        scaling,
        seed,
        names,
        onProgress: (done: number) => {
          if (done < names.length) onProgress?.(before + done, linears.size);
        },
      };
      const factors = await initialization(layers.map(({ weight }) => weight), options);
      names.forEach((name, i) => adapted.set(name, layerOf(factors[i]!, { bias: layers[i]!.bias, scaling })));
      for (const name of dora ? names : []) {
        adapted.set(name, await DoraLinear.of(plainLayer(name, adapted.get(name)!), { name }));
      }
      onProgress?.(adapted.size, linears.size);
    }
  } catch (error) {
    for (const [name, layer] of adapted) {
      const { weight, bias } = linears.get(name)!;
      const made = [...layer.namedParameters()].map(([, each]) => each);
      disposeAll(made.filter((each) => each !== weight && each !== bias));
      disposeAll(Object.values<Tensor>({ ...layer.initial }));
    }
    throw error;
  }
  return model.mapModules((name, module) => adapted.get(name) ?? module);
}

function plainLayer(name: string, layer: FactoredLinear | DoraLinear): LowRankLinear {
  if (layer instanceof LowRankLinear) return layer;
  throw new TypeError(`Cannot train ${name} as DoRA: expected a start that trains A and B`);
}

/**
 * Checks the options of {@linkcode attachAdapters} by shapes alone.
 *
 * @throws as {@linkcode attachAdapters}.
 */
export function checkAdapters(
  model: Module,
  options: AdaptedLayersOptions,
): void {
  findLinears(model, options);
}

/** The linear layers to adapt, by name. */
function findLinears(model: Module, options: AdaptedLayersOptions): Map<string, Linear> {
  for (const alpha of [options.alpha, ...Object.values(options.alphaPattern ?? {})]) {
    if (!(alpha > 0 && Number.isFinite(alpha))) {
      throw new RangeError(`Cannot scale adapters by alpha ${alpha}: expected a positive number`);
    }
  }
  const names = new Set(matchLinears(model, options.targets));
  const linears = new Map(
    [...model.namedModules()].flatMap(([name, module]) =>
      module instanceof Linear && names.has(name) ? [[name, module]] : []
    ),
  );
  checkLayerPatterns([...linears.keys()], options);
  for (const [name, { weight }] of linears) {
    const { rank } = layerSettings(name, options);
    const limit = Math.min(...weight.shape);
    if (!Number.isInteger(rank) || rank < 1 || rank > limit) {
      throw new RangeError(
        `Cannot adapt ${name} of shape [${
          weight.shape.join(", ")
        }] with rank ${rank}: expected an integer from 1 to ${limit}`,
      );
    }
  }
  return linears;
}

/** Layers whose weights have one shape, and whose updates one rank and scale. */
interface LikeLayers extends LayerSettings {
  readonly names: string[];
}

function likeLayers(linears: ReadonlyMap<string, Linear>, options: LayerSettingsOptions): LikeLayers[] {
  const groups = new Map<string, LikeLayers>();
  for (const [name, { weight }] of linears) {
    const settings = layerSettings(name, options);
    const key = `${formatShape(weight.shape)} ${settings.rank} ${settings.scaling}`;
    const group = groups.get(key) ?? { ...settings, names: [] };
    group.names.push(name);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** The layers of a model that have a low-rank update, by name. */
export function adaptersOf(model: Module): Map<string, LowRankLinear> {
  return new Map(
    [...model.namedModules()].flatMap(([name, module]) =>
      module instanceof LowRankLinear ? [[name, module]] : []
    ),
  );
}

/** The layers of a model whose update is of low rank, whatever it is made of, by name. */
export function factoredLinears(model: Module): Map<string, FactoredLinear> {
  return new Map(
    [...model.namedModules()].flatMap(([name, module]) =>
      module instanceof FactoredLinear ? [[name, module]] : []
    ),
  );
}

/**
 * A copy of a model with every adapter multiplied out into an ordinary module.
 *
 * @throws {UnmergeableError} naming the adapters that no ordinary module does the same as.
 */
export function merge<M extends Module>(model: M): M {
  checkMergeable(model, "merge the model");
  return model.mapModules((_, module) =>
    module instanceof AdaptedLinear ? module.merged() : kindOf(module)?.merged?.(module) ?? module
  );
}

/**
 * Checks that every adapter of a model can be multiplied out.
 *
 * @param action what can't be done otherwise, such as `merge the model`.
 * @throws {UnmergeableError} naming those that can't.
 */
export function checkMergeable(model: Module, action: string): void {
  const left = [...adaptedModules(model)].filter(([, { module, kind }]) =>
    !(module instanceof AdaptedLinear) && kind.merged === undefined
  );
  if (left.length === 0) return;
  const kinds = [...new Set(left.map(([, { kind }]) => kind.name))];
  const names = left.map(([name]) => name);
  throw new UnmergeableError(
    `Cannot ${action}: no ordinary module does what an adapter of the kind ${
      kinds.join(" or ")
    } does, as that of ${
      names.length > 3 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ")
    }; keep the folder that federa run wrote, from which predict and evaluate load it`,
  );
}
