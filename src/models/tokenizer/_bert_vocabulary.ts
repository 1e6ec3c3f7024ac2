import { asText, type Config, refuse } from "./_read_config.ts";

/** The names of BERT's special tokens in `tokenizer_config.json`, and what they are by default. */
const SPECIAL = {
  pad_token: "[PAD]",
  unk_token: "[UNK]",
  cls_token: "[CLS]",
  sep_token: "[SEP]",
  mask_token: "[MASK]",
};

/**
 * What a tokenizer.json would be for a `vocab.txt` of BERT: a piece a line, in the order of their ids.
 *
 * @param settings `tokenizer_config.json`
 * @throws {TokenizerError} if the vocabulary lacks the tokens that begin and end texts.
 */
export function fromBertVocabulary(text: string, settings: Config): Config {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  const ids = new Map(lines.map((piece, id) => [piece, id]));
  const special = Object.entries(SPECIAL).map(([name, usual]) => tokenText(settings[name] ?? usual, name));
  const mark = (index: number) => {
    const content = special[index]!;
    return [content, ids.get(content) ?? refuse(`vocab.txt must have the token ${JSON.stringify(content)}`)];
  };
  return {
    added_tokens: special
      .filter((content) => ids.has(content))
      .map((content) => ({ content, id: ids.get(content), special: true })),
    normalizer: { type: "BertNormalizer" },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: { type: "BertProcessing", cls: mark(2), sep: mark(3) },
    model: { type: "WordPiece", vocab: Object.fromEntries(ids), unk_token: mark(1)[0] },
  };
}

/** A token as a settings file has it: its text, or an object with that. */
export function tokenText(value: unknown, what: string): string {
  const isObject = typeof value === "object" && value !== null;
  return asText(isObject ? (value as Config).content : value, what);
}
