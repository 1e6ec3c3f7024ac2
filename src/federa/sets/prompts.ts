import type { Gpu, Module } from "../../engine/mod.ts";
import { type Backbone, TokenPoint } from "../../models/mod.ts";
import { VirtualTokens } from "../layers/points/virtual_tokens.ts";
import { drawNormal } from "./draw_normal.ts";

/** Options of {@linkcode attachPrompt} and {@linkcode attachPrefixes}. */
export interface AttachPromptOptions {
  /** Number P of virtual tokens, or of keys and values in each layer. */
  readonly tokens: number;
  /** Seed of the draw; 0 by default. */
  readonly seed?: number;
}

/** A model with an encoder. */
export interface EncoderModel extends Module {
  readonly encoder: Backbone;
  readonly gpu: Gpu;
}

/**
 * A copy of a model with virtual tokens in front of every text's own, see {@linkcode VirtualTokens}, sharing every other tensor with it.
 * Their embeddings [P, E], E being the width of the encoder's table, are drawn normal of deviation 0.02: from the start, outputs aren't
 * what they were.
 *
 * @throws as {@linkcode checkPrompt}.
 * @example
 * ```ts no-run
 * const model = attachPrompt(pretrained, { tokens: 10, seed: 1 });
 * ```
 */
export function attachPrompt<M extends EncoderModel>(model: M, { tokens, seed = 0 }: AttachPromptOptions): M {
  checkPrompt(model, { tokens });
  return model.mapModules((name, module) => {
    if (!(module instanceof TokenPoint)) return module;
    const { width } = module;
    const embeddings = drawNormal(model.gpu, { shape: [tokens, width], keys: [seed, "prompt", name] });
    return new VirtualTokens({ width, embeddings });
  });
}

/**
 * Checks by sizes alone that virtual tokens fit an encoder.
 *
 * @throws {TypeError} when the encoder has no place for them.
 * @throws {RangeError} when it reads no more tokens than that.
 */
export function checkPrompt(
  { encoder }: EncoderModel,
  { tokens }: Pick<AttachPromptOptions, "tokens">,
): void {
  const points = [...encoder.namedModules()].filter(([, module]) => module instanceof TokenPoint);
  if (points.length !== 1) {
    throw new TypeError(
      "Cannot put virtual tokens in front of texts: expected an encoder that has a place for them, as every family that is loaded has",
    );
  }
  if (tokens < encoder.maxTokens) return;
  throw new RangeError(
    `Cannot put ${tokens} virtual tokens in front of texts: the encoder reads at most ${encoder.maxTokens} tokens, these included`,
  );
}
