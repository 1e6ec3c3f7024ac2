import { ones, zeros } from "../../engine/mod.ts";
import { AttentionPoint, LayerPoint } from "../../models/mod.ts";
import { LayerOffset } from "../layers/points/layer_offset.ts";
import { type AttentionScaled, ScaledAttention } from "../layers/points/scaled_attention.ts";
import type { EncoderModel } from "./prompts.ts";

/** Options of {@linkcode attachAttentionScales}. */
export interface AttachAttentionScalesOptions {
  /** What of an attention is multiplied. */
  readonly scaled: AttentionScaled;
  /** Whether a vector is added behind each layer too. */
  readonly offsets: boolean;
}

/**
 * A copy of a model whose attentions have a factor for each head, see {@linkcode ScaledAttention}, and whose layers have an offset, see
 * {@linkcode LayerOffset}, sharing every other tensor with it. Factors start at 1 and offsets at 0: at the start the model's outputs are
 * what they were, bit for bit.
 *
 * A layer of H heads and width d has H + d parameters.
 *
 * @throws as {@linkcode checkAttentionScales}.
 * @example
 * ```ts no-run
 * const model = attachAttentionScales(pretrained, { scaled: "probabilities", offsets: true });
 * ```
 */
export function attachAttentionScales<M extends EncoderModel>(
  model: M,
  { scaled, offsets }: AttachAttentionScalesOptions,
): M {
  checkAttentionScales(model);
  const { gpu } = model;
  return model.mapModules((_, module) => {
    if (module instanceof AttentionPoint) {
      const { width, heads } = module;
      return new ScaledAttention({ width, heads, scale: ones(gpu, [heads]), scaled });
    }
    if (!offsets || !(module instanceof LayerPoint)) return module;
    return new LayerOffset({ width: module.width, offset: zeros(gpu, [module.width]) });
  });
}

/**
 * Checks that an encoder has attentions.
 *
 * @throws {TypeError} when it has none.
 */
export function checkAttentionScales({ encoder }: EncoderModel): void {
  for (const [, module] of encoder.namedModules()) if (module instanceof AttentionPoint) return;
  throw new TypeError(
    "Cannot scale attention: expected an encoder with attention, as every family that is loaded has",
  );
}
