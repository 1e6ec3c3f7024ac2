import type { AlignedText, Section } from "./aligned_text.ts";
import { readPattern } from "./_pattern.ts";
import { asConfig, asFlag, asText, type Config, readSteps, refuse, show } from "../read_config.ts";
import { LATER_PUNCTUATION } from "./_unicode_tables.ts";

/** How {@linkcode PreTokenizer} cuts a text. */
export interface PreTokenizerOptions {
  /** Whether the text is a word, which a space stands before even if the tokenizer wouldn't put one there. */
  readonly isWord: boolean;
}

/** Cuts a text into words. */
export type PreTokenizer = (text: AlignedText, options: PreTokenizerOptions) => AlignedText[];

/** What becomes of the matches of a pattern that cuts a text. */
type Behavior = "Removed" | "Isolated" | "Contiguous" | "MergedWithPrevious" | "MergedWithNext";

const BEHAVIORS: readonly unknown[] = [
  "Removed",
  "Isolated",
  "Contiguous",
  "MergedWithPrevious",
  "MergedWithNext",
];
const SPACE = /\p{White_Space}/gu;
const PUNCTUATION_MARK = `(?:[!-/:-@\\[-\`{-~\\u166d\\u{111c9}]|(?![${LATER_PUNCTUATION}])\\p{P})`;
const PUNCTUATION = new RegExp(PUNCTUATION_MARK, "gu");
const BERT_WORD = new RegExp(`${PUNCTUATION_MARK}|(?:(?!${PUNCTUATION_MARK})\\P{White_Space})+`, "gu");
const DIGIT = /\p{N}/gu;
const WORD =
  /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu;
/** Words of byte-level encodings (Radford et al. 2019, section 2.2). */
const BYTE_LEVEL_WORD =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/**
 * The `pre_tokenizer` of a tokenizer.json; null leaves a text whole.
 *
 * @throws {TokenizerError} if it is of an unknown type or its settings don't make sense.
 */
export function readPreTokenizer(value: unknown, what = "pre_tokenizer", depth = 0): PreTokenizer {
  if (value === null || value === undefined) return (text) => [text];
  const config = asConfig(value, what);
  switch (config.type) {
    case "Sequence": {
      const steps = readSteps(config.pretokenizers, `${what}.pretokenizers`, depth, readPreTokenizer);
      return (text, options) =>
        steps.reduce((parts, step) => parts.flatMap((part) => step(part, options)), [text]);
    }
    case "BertPreTokenizer":
      return (text) => cut(text, BERT_WORD, "Removed", true);
    case "Whitespace":
      return (text) => cut(text, WORD, "Removed", true);
    case "WhitespaceSplit":
      return (text) => cut(text, SPACE, "Removed");
    case "Punctuation": {
      const behavior = readBehavior(config.behavior ?? "Isolated", what);
      return (text) => cut(text, PUNCTUATION, behavior);
    }
    case "Digits": {
      const behavior = asFlag(config.individual_digits, `${what}.individual_digits`, false)
        ? "Isolated"
        : "Contiguous";
      return (text) => cut(text, DIGIT, behavior);
    }
    case "Split": {
      const pattern = readPattern(config.pattern, `${what}.pattern`);
      const behavior = readBehavior(config.behavior, what);
      const invert = asFlag(config.invert, `${what}.invert`, false);
      return (text) => cut(text, pattern, behavior, invert);
    }
    case "ByteLevel":
      return readByteLevel(config, what);
    case "Metaspace":
      return readMetaspace(config, what);
    default:
      return refuse(`${what}.type ${show(config.type)} is not supported`);
  }
}

function readBehavior(value: unknown, what: string): Behavior {
  if (BEHAVIORS.includes(value)) return value as Behavior;
  return refuse(`${what}.behavior must be one of ${BEHAVIORS.join(", ")}, got ${show(value)}`);
}

const MAX_SPELLED = 1 << 12;
/** Characters stand for bytes: those of Latin-1 that print for themselves, and others from U+0100 on. */
const BYTE_CHARS: readonly string[] = byteChars();

function byteChars(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const prints = byte > 0x20 && byte < 0x7f || byte > 0xa0 && byte !== 0xad;
    return String.fromCharCode(prints ? byte : next++);
  });
}

function readByteLevel(config: Config, what: string): PreTokenizer {
  const addsSpace = asFlag(config.add_prefix_space, `${what}.add_prefix_space`, true);
  const cuts = asFlag(config.use_regex, `${what}.use_regex`, true);
  const encoder = new TextEncoder();
  const spelled = new Map<string, string>();
  const spell = (char: string) => {
    let bytes = spelled.get(char);
    if (bytes === undefined) {
      bytes = Array.from(encoder.encode(char), (byte) => BYTE_CHARS[byte]).join("");
      if (spelled.size >= MAX_SPELLED) spelled.clear();
      spelled.set(char, bytes);
    }
    return bytes;
  };
  return (text, { isWord }) => {
    if ((addsSpace || isWord) && text.chars[0] !== " ") text = text.prepend(" ");
    const words = cuts ? cut(text, BYTE_LEVEL_WORD, "Isolated") : [text];
    return words.map((word) => word.mapChars(spell));
  };
}

function readMetaspace(config: Config, what: string): PreTokenizer {
  const mark = asText(config.replacement ?? "\u2581", `${what}.replacement`);
  if ([...mark].length !== 1) refuse(`${what}.replacement must be one character, got ${show(mark)}`);
  const adds = asFlag(config.add_prefix_space, `${what}.add_prefix_space`, true);
  const scheme = config.prepend_scheme ?? (adds ? "always" : "never");
  if (scheme !== "always" && scheme !== "first" && scheme !== "never") {
    refuse(`${what}.prepend_scheme must be always, first or never, got ${show(scheme)}`);
  }
  const cuts = asFlag(config.split, `${what}.split`, true);
  const marks = readPattern({ String: mark }, what);
  return (text) => {
    text = text.replace(/ /gu, mark);
    const isFirst = scheme === "always" || scheme === "first" && text.origin === 0;
    if (isFirst && text.chars[0] !== mark) text = text.prepend(mark);
    return cuts ? cut(text, marks, "MergedWithNext") : [text];
  };
}

/** The parts of a text that the matches of a pattern (or with `invert` what lies between) cut it into. */
function cut(text: AlignedText, pattern: RegExp, behavior: Behavior, invert = false): AlignedText[] {
  const sections = text.sections(pattern).map((section) => ({
    ...section,
    isMatch: section.isMatch !== invert,
  }));
  const parts = merge(sections, behavior);
  const isWhole = parts.length === 1 && parts[0]!.to - parts[0]!.from === text.chars.length;
  if (isWhole && text.origin === text.starts[0]) return [text];
  return parts.map(({ from, to }) => text.slice(from, to));
}

function merge(sections: readonly Section[], behavior: Behavior): readonly Section[] {
  if (behavior === "Isolated") return sections;
  if (behavior === "Removed") return sections.filter(({ isMatch }) => !isMatch);
  const merged: Section[] = [];
  for (const [i, section] of sections.entries()) {
    const before = sections[i - 1];
    const joins = before !== undefined && (
      behavior === "Contiguous"
        ? before.isMatch === section.isMatch
        : behavior === "MergedWithPrevious"
        ? section.isMatch && !before.isMatch
        : before.isMatch && !section.isMatch
    );
    if (joins) merged[merged.length - 1] = { ...section, from: merged.at(-1)!.from };
    else merged.push(section);
  }
  return merged;
}
