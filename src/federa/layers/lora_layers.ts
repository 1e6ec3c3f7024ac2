import type { Module, Tensor } from "../../engine/mod.ts";
import { DoraLinear } from "./dora_linear.ts";
import { LowRankLinear } from "./factored/low_rank_linear.ts";

/** A layer in the terms of LoRA: W + s·B·A, whose rows DoRA gives lengths of their own. */
export interface LoraLayer {
  readonly lora: LowRankLinear;
  /** m [out] of DoRA. */
  readonly magnitude: Tensor | undefined;
}

/** The layers of a model that are plain LoRA or DoRA, by name. */
export function loraLayers(model: Module): Map<string, LoraLayer> {
  return new Map(
    [...model.namedModules()].flatMap(([name, module]): [string, LoraLayer][] => {
      if (module instanceof LowRankLinear) return [[name, { lora: module, magnitude: undefined }]];
      return module instanceof DoraLinear
        ? [[name, { lora: module.direction, magnitude: module.magnitude }]]
        : [];
    }),
  );
}
