import type { Config } from "../read_config.ts";

/**
 * What a tokenizer.json would be for a `vocab.txt` of BERT: a piece a line, in the order of their ids; of two equal ones
 * the later counts.
 */
export function fromBertVocabulary(text: string): Config {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const ids = new Map(lines.map((line, id) => [line.replace(/\p{White_Space}+$/u, ""), id]));
  return { model: { type: "WordPiece", vocab: Object.fromEntries(ids) } };
}
