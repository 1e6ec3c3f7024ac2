import type { Tensor } from "../../../../engine/mod.ts";
import { type Initialization, type LayerSettings, layerSettings } from "../../../../federa/mod.ts";
import type { Method } from "../../../method.ts";
import { take } from "../../../tensors.ts";
import { adaptEncoder, type AdapterOptions } from "../adapters/adapter_options.ts";
import { makeParts } from "../adapters/layer_parts.ts";
import { type Scouted, scouted } from "./scouted.ts";

/** Options of {@linkcode gradientStart}. */
export interface GradientStartOptions {
  readonly name: string;
  /** The layers before the start: their shapes, and an update of zero. */
  readonly initialization: Initialization;
  /** The parameters of a layer that are trained once it has started. */
  readonly trained: readonly string[];
  /** Those that stay as they start. */
  readonly frozen: readonly string[];
  /** A layer's parameters by the mean gradient [out, in] of its weight. */
  start(
    gradient: Tensor,
    context: LayerSettings & { readonly seed: number },
  ): Promise<Readonly<Record<string, Tensor>>>;
}

/**
 * A method whose adapters start from the gradient of the pretrained weights, averaged over the clients of the first round, which costs that
 * round and o·i values up per layer; nothing moves in it.
 */
export function gradientStart(
  options: AdapterOptions,
  { initialization, start, ...rest }: GradientStartOptions,
): Method<Scouted> {
  return scouted(options, {
    ...rest,
    purpose: "which gathers the gradient that it starts from",
    asynchrony:
      "all must start from the gradient of the first round, and an update may be older: take federa-sb",
    attach: (pretrained, context) => adaptEncoder(pretrained, { ...options, context, initialization }),
    start: (gradients, { seed }) =>
      makeParts(
        gradients.keys(),
        (layer) => start(take(gradients, layer), { ...layerSettings(layer, options), seed }),
      ),
  });
}
