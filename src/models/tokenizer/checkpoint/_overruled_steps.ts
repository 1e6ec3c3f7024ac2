import type { ClassStepsOptions } from "./_class_steps.ts";
import type { Config } from "../read_config.ts";

/** Steps that make no difference beside the others: white space always separates words. */
const IDLE = ["Replace", "WhitespaceSplit"];
const BERT_FLAGS = {
  lowercase: "do_lower_case",
  strip_accents: "strip_accents",
  handle_chinese_chars: "tokenize_chinese_chars",
};

/**
 * A sentence on the steps of a tokenizer.json that its class replaces by its own although no setting says so; undefined if
 * there are none.
 */
export function describeOverruled(
  file: Config,
  stepped: Config,
  { settings, className }: ClassStepsOptions,
): string | undefined {
  const found = (["normalizer", "pre_tokenizer"] as const).flatMap((name) => {
    const [before, after] = [stepsOf(file[name]), stepsOf(stepped[name])];
    if (names(before) !== names(after)) {
      return `${name} (${before.map(({ type }) => type).join(", ") || "none"})`;
    }
    const bert = before.find(({ type }) => type === "BertNormalizer");
    const flags = Object.entries(BERT_FLAGS).filter(([flag, setting]) =>
      bert !== undefined && (settings[setting] ?? undefined) === undefined && flag !== "strip_accents" &&
      (bert[flag] ?? true) !== after[0]![flag]
    );
    return flags.map(([flag]) => `${name}'s ${flag} (${bert![flag]})`);
  });
  if (found.length === 0) return undefined;
  return `tokenizer.json's ${
    found.join(" and ")
  } isn't used: ${className} makes its own, as in transformers 5; ` +
    'tokenizer_class "PreTrainedTokenizerFast" in tokenizer_config.json would use it';
}

function stepsOf(value: unknown): Config[] {
  if (typeof value !== "object" || value === null) return [];
  const config = value as Config;
  const inner = config.normalizers ?? config.pretokenizers;
  return Array.isArray(inner) ? inner.flatMap(stepsOf) : [config];
}

function names(steps: readonly Config[]): string {
  return steps.map(({ type }) => String(type)).filter((type) => !IDLE.includes(type)).join(" ");
}
