import type { Module } from "../../engine/mod.ts";

/** Names of the parameters of a model's modules of a class, and of classes that extend it, in model order. */
export function parametersWithin(
  model: Module,
  // deno-lint-ignore no-explicit-any -- constructors of modules differ.
  type: abstract new (...parts: any[]) => Module,
): Set<string> {
  return new Set(
    [...model.namedModules()].flatMap(([name, module]) =>
      module instanceof type ? [...module.namedParameters(name)].map(([each]) => each) : []
    ),
  );
}
