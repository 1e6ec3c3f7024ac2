import type { Module } from "../../engine/mod.ts";
import { AdapterMismatchError } from "../errors.ts";
import { adaptedModules } from "../kinds/mod.ts";
import { AdaptedLinear } from "../layers/adapted_linear.ts";
import { loraLayers } from "../layers/lora_layers.ts";

/**
 * Checks that a model's adapters are ones that PEFT's LoRA has.
 *
 * @throws {AdapterMismatchError} naming those that aren't, and what to do.
 */
export function checkFactorsAlone(model: Module): void {
  const layers = loraLayers(model);
  const plain = [...layers].find(([, { magnitude }]) => magnitude === undefined);
  const dora = [...layers].find(([, { magnitude }]) => magnitude !== undefined);
  if (plain && dora) {
    throw new AdapterMismatchError(
      `Cannot export the adapter: ${plain[0]} is plain LoRA and ${
        dora[0]
      } DoRA, and PEFT's use_dora holds for all layers; merge the model instead`,
    );
  }
  const others = [...adaptedModules(model)].filter(([name]) => !layers.has(name));
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
