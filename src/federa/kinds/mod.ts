import type { Module, Tensor } from "../../engine/mod.ts";
import { FactoredLinear } from "../layers/factored/factored_linear.ts";
import type { AnyAdapterKind } from "./adapter_kind.ts";
import * as all from "./all.ts";

export * from "./adapter_kind.ts";
export * from "./all.ts";

/** Every kind of adapted modules by its name. */
export const adapterKinds: ReadonlyMap<string, AnyAdapterKind> = new Map(
  Object.values(all).map((kind) => [kind.name, kind]),
);

/** A module of a model with its kind. */
export interface AdaptedModule {
  readonly module: Module;
  readonly kind: AnyAdapterKind;
}

/** The kind of a module; undefined of an ordinary one. */
export function kindOf(module: Module): AnyAdapterKind | undefined {
  const prototype: unknown = Object.getPrototypeOf(module);
  return [...adapterKinds.values()].find(({ type }) => type.prototype === prototype);
}

/** The modules of a model that hold what an adapter trains, of whatever kind, by name. */
export function adaptedModules(model: Module): Map<string, AdaptedModule> {
  return new Map(
    [...model.namedModules()].flatMap(([name, module]) => {
      const kind = kindOf(module);
      return kind === undefined ? [] : [[name, { module, kind }]];
    }),
  );
}

/** The tensors that adapted modules hold beside their parameters, such as the factors that were taken out of a weight. */
export function extraTensors(model: Module): Tensor[] {
  return [...model.namedModules()].flatMap(([, module]) =>
    module instanceof FactoredLinear
      ? Object.values<Tensor>({ ...module.initial })
      : [...kindOf(module)?.extras?.(module).values() ?? []]
  );
}

/** Whether a model has modules that a file of adapters holds: those of a kind, or of low rank, which are stored as plain LoRA. */
export function hasAdapters(model: Module): boolean {
  return [...model.namedModules()].some(([, module]) =>
    module instanceof FactoredLinear || kindOf(module) !== undefined
  );
}
