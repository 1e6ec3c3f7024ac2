import type { SpecialTokens } from "./_class_tokens.ts";
import { asConfig, type Config, refuse, show } from "../read_config.ts";

/** Libraries write 10³⁰ for no limit. */
const NO_LIMIT = 1e9;
const PAD_TOKENS = ["[PAD]", "<pad>"];

/** The end of a text at which tokens are cut or padding is added. */
export type Side = "left" | "right";

/**
 * The id of the padding token, which `tokenizer_config.json` or its class names, or the `padding` of tokenizer.json.
 *
 * @throws {TokenizerError} if there is none.
 */
export function readPadId(file: Config, special: SpecialTokens, ids: ReadonlyMap<string, number>): number {
  const named = special.get("pad_token");
  if (named !== undefined) return named.id;
  const padding = file.padding === null || file.padding === undefined
    ? {}
    : asConfig(file.padding, "padding");
  const text = padding.pad_token ?? PAD_TOKENS.find((token) => ids.has(token));
  if (text === undefined) {
    return refuse(`there must be a padding token, named as pad_token in tokenizer_config.json`);
  }
  const id = typeof text === "string" ? ids.get(text) : undefined;
  return id ?? refuse(`the padding token ${show(text)} must be in the vocabulary`);
}

/** `model_max_length`, or `max_len` of older files; Infinity for none. @throws {TokenizerError} if it isn't a number of tokens. */
export function readMaxLength({ model_max_length, max_len }: Config): number {
  const value = model_max_length === undefined ? max_len : model_max_length;
  if (value === undefined || value === null) return Infinity;
  if (typeof value !== "number" || !(value >= 1)) {
    return refuse(`model_max_length must be a number of tokens, at least 1, got ${show(value)}`);
  }
  return value >= NO_LIMIT ? Infinity : Math.floor(value);
}

/**
 * A side that `tokenizer_config.json` names, or that part of tokenizer.json; right where neither does.
 *
 * @param part `truncation` or `padding`
 * @throws {TokenizerError} if it is neither left nor right.
 */
export function readSide(part: "truncation" | "padding", file: Config, settings: Config): Side {
  const name = `${part}_side`;
  const block = file[part] === null || file[part] === undefined ? {} : asConfig(file[part], part);
  const value = settings[name] ?? block.direction ?? "right";
  const side = typeof value === "string" ? value.toLowerCase() : value;
  return side === "left" || side === "right"
    ? side
    : refuse(`${name} must be "left" or "right", got ${show(value)}`);
}
