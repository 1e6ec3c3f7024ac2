import type { AlignedText } from "./aligned_text.ts";
import { CharMap } from "./_char_map.ts";
import { readPattern } from "./_pattern.ts";
import {
  asConfig,
  asFlag,
  asShortText,
  asText,
  type Config,
  readSteps,
  refuse,
  show,
} from "../read_config.ts";
import { toUnicodeForm } from "./_unicode_forms.ts";
import { LATER_CONTROLS, LATER_MARKS, LATER_NONSPACING_MARKS } from "./_unicode_tables.ts";

/** One step of normalisation, which keeps track of where characters came from. */
export type Normalizer = (text: AlignedText) => AlignedText;

const WHITESPACE = /\p{White_Space}/u;
const CONTROL = new RegExp(`[\\u{0}\\u{fffd}]|(?![${LATER_CONTROLS}\\t\\n\\r])[\\p{Cc}\\p{Cf}\\p{Co}]`, "u");
const NONSPACING_MARK = new RegExp(`[\\u1734\\u{1171e}]|(?![${LATER_NONSPACING_MARKS}])\\p{Mn}`, "u");
const MARK = new RegExp(`(?![${LATER_MARKS}])\\p{M}|[\\u1cf2\\u1cf3]`, "u");
/** Chinese characters as BERT counts them; U+2B820 to U+2B91F are missing from the library's list. */
const CHINESE = new RegExp(
  String.raw`[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}` +
    String.raw`\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]`,
  "u",
);

/**
 * The `normalizer` of a tokenizer.json; null is no step at all.
 *
 * @throws {TokenizerError} if it is of an unknown type or its settings don't make sense.
 */
export function readNormalizer(value: unknown, what = "normalizer", depth = 0): Normalizer {
  if (value === null || value === undefined) return (text) => text;
  const config = asConfig(value, what);
  switch (config.type) {
    case "Sequence": {
      const steps = readSteps(config.normalizers, `${what}.normalizers`, depth, readNormalizer);
      return (text) => steps.reduce((result, step) => step(result), text);
    }
    case "BertNormalizer":
      return readBertNormalizer(config, what);
    case "Precompiled": {
      if (config.precompiled_charsmap === null) return (text) => text;
      const rules = `${what}.precompiled_charsmap`;
      const map = new CharMap(asText(config.precompiled_charsmap, rules), rules);
      return (text) => map.apply(text);
    }
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD": {
      const { type } = config;
      return (text) => toUnicodeForm(text, type);
    }
    case "Lowercase":
      return lowercase;
    case "StripAccents":
      return (text) => text.mapChars((char) => MARK.test(char) ? "" : char);
    case "Strip": {
      const left = asFlag(config.strip_left, `${what}.strip_left`, true);
      const right = asFlag(config.strip_right, `${what}.strip_right`, true);
      return (text) => strip(text, left, right);
    }
    case "Replace": {
      const pattern = readPattern(config.pattern, `${what}.pattern`);
      const content = asShortText(config.content, `${what}.content`);
      return (text) => text.replace(pattern, content);
    }
    case "Prepend": {
      const prefix = asShortText(config.prepend, `${what}.prepend`);
      return (text) => text.prepend(prefix);
    }
    default:
      return refuse(`${what}.type ${show(config.type)} is not supported`);
  }
}

function readBertNormalizer(config: Config, what: string): Normalizer {
  const clean = asFlag(config.clean_text, `${what}.clean_text`, true);
  const chinese = asFlag(config.handle_chinese_chars, `${what}.handle_chinese_chars`, true);
  const lower = asFlag(config.lowercase, `${what}.lowercase`, true);
  const accents = asFlag(config.strip_accents, `${what}.strip_accents`, lower);
  return (text) => {
    if (clean) {
      text = text.mapChars((char) => CONTROL.test(char) ? "" : WHITESPACE.test(char) ? " " : char);
    }
    if (chinese && CHINESE.test(text.text)) {
      text = text.mapChars((char) => CHINESE.test(char) ? ` ${char} ` : char);
    }
    if (accents) {
      text = toUnicodeForm(text, "NFD").mapChars((char) => NONSPACING_MARK.test(char) ? "" : char);
    }
    return lower ? lowercase(text) : text;
  };
}

/** Character by character: a final sigma is one like any other. */
function lowercase(text: AlignedText): AlignedText {
  return text.mapChars((char) => char.toLowerCase());
}

function strip(text: AlignedText, left: boolean, right: boolean): AlignedText {
  let from = 0;
  let to = text.chars.length;
  while (left && from < to && WHITESPACE.test(text.chars[from]!)) from++;
  while (right && to > from && WHITESPACE.test(text.chars[to - 1]!)) to--;
  return from === 0 && to === text.chars.length ? text : text.keep(from, to);
}
