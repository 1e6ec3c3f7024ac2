import type { Module } from "../../engine/mod.ts";
import { AdapterMismatchError } from "../errors.ts";
import { adaptedModules } from "../kinds/mod.ts";
import { AdaptedLinear } from "../layers/adapted_linear.ts";
import { LowRankLinear } from "../layers/low_rank_linear.ts";

/**
 * Checks that a model's adapters are ones that PEFT's LoRA has.
 *
 * @throws {AdapterMismatchError} naming those that aren't, and what to do.
 */
export function checkFactorsAlone(model: Module): void {
  const others = [...adaptedModules(model)].filter(([, { module }]) => !(module instanceof LowRankLinear));
  if (others.length === 0) return;
  const [name, { kind }] = others[0]!;
  const canMerge = others.every(([, { module, kind }]) =>
    module instanceof AdaptedLinear || kind.merged !== undefined
  );
  throw new AdapterMismatchError(
    `Cannot export the adapter of ${name}: PEFT's LoRA has no adapters of the kind ${kind.name}; ${
      canMerge
        ? "merge the model instead"
        : "keep the folder that federa run wrote, from which predict and evaluate load it"
    }`,
  );
}
