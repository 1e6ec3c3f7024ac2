import { AttentionPoint, TokenPoint } from "../../models/mod.ts";
import { PrefixAttention } from "../layers/points/prefix_attention.ts";
import { TakenPositions } from "../layers/points/virtual_tokens.ts";
import { drawNormal } from "./draw_normal.ts";
import { type AttachPromptOptions, checkPrompt, type EncoderModel } from "./prompts.ts";

/**
 * A copy of a model whose attentions have P keys and values [P, D] each in front of those of every text, see
 * {@linkcode PrefixAttention}, sharing every other tensor with it. They are drawn normal of deviation 0.02, as P-tuning v2's encoders
 * draw embeddings: from the start, outputs aren't what they were.
 *
 * @throws as {@linkcode checkPrefixes}.
 * @example
 * ```ts no-run
 * const model = attachPrefixes(pretrained, { tokens: 20, seed: 1 });
 * ```
 */
export function attachPrefixes<M extends EncoderModel>(
  model: M,
  { tokens, seed = 0 }: AttachPromptOptions,
): M {
  checkPrefixes(model, { tokens });
  return model.mapModules((name, module) => {
    if (module instanceof TokenPoint) return new TakenPositions({ width: module.width, count: tokens });
    if (!(module instanceof AttentionPoint)) return module;
    const { width, heads } = module;
    const draw = (part: string) =>
      drawNormal(model.gpu, { shape: [tokens, width], keys: [seed, "prefix", part, name] });
    return new PrefixAttention({ width, heads, keys: draw("keys"), values: draw("values") });
  });
}

/**
 * Checks by sizes alone that keys and values fit in front of those of an encoder's attentions.
 *
 * @throws {TypeError} when it has no place for them.
 * @throws {RangeError} when it has no more positions than that.
 */
export function checkPrefixes(model: EncoderModel, options: Pick<AttachPromptOptions, "tokens">): void {
  const points = [...model.encoder.namedModules()].flatMap(([, module]) =>
    module instanceof AttentionPoint ? [module] : []
  );
  if (points.length === 0 || points.some(({ takesPrefix }) => !takesPrefix)) {
    throw new TypeError(
      "Cannot put keys and values in front of those of texts: expected attention that takes them; that of DeBERTa gives a key its place by " +
        "its distance, which these have none of: take virtual tokens (prompt-tuning) instead",
    );
  }
  checkPrompt(model, options);
}
