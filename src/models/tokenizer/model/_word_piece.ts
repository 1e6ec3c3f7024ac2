import { PieceTrie } from "./piece_trie.ts";
import { asConfig, asId, asText, type Config, refuse } from "../read_config.ts";
import { readVocabulary, type TokenModel, type WordToken } from "./token_model.ts";

/**
 * WordPiece: the longest piece of the vocabulary again and again, from left to right; a word that can't be composed so, or
 * that is too long, is unknown as a whole (Devlin et al. 2019, arXiv:1810.04805, section 4.1).
 *
 * @throws {TokenizerError} if the settings or the vocabulary don't make sense.
 */
export function readWordPiece(config: Config): TokenModel {
  const ids = readVocabulary(asConfig(config.vocab, "model.vocab"));
  const unknownToken = asText(config.unk_token, "model.unk_token");
  const unknown = ids.get(unknownToken);
  if (unknown === undefined) {
    refuse(`model.vocab must have the unknown token ${JSON.stringify(unknownToken)}`);
  }
  const maxLength = asId(config.max_input_chars_per_word ?? 100, "model.max_input_chars_per_word");
  const pieces = new PieceTrie();
  for (const [piece, id] of ids) pieces.add(piece, id);
  let inner: number | undefined = PieceTrie.ROOT;
  for (const char of asText(config.continuing_subword_prefix ?? "##", "model.continuing_subword_prefix")) {
    inner = inner === undefined ? undefined : pieces.child(inner, char);
  }

  const longestPiece = (chars: readonly string[], from: number): WordToken | undefined => {
    let longest: WordToken | undefined;
    let node = from === 0 ? PieceTrie.ROOT : inner;
    for (let at = from; at < chars.length && node !== undefined;) {
      node = pieces.child(node, chars[at++]!);
      const id = node === undefined ? undefined : pieces.idAt(node);
      if (id !== undefined) longest = { id, from, to: at };
    }
    return longest;
  };

  return {
    ids,
    size: ids.size,
    encode(chars) {
      const tokens: WordToken[] = [];
      const whole = [{ id: unknown, from: 0, to: chars.length }];
      if (chars.length > maxLength) return whole;
      for (let at = 0; at < chars.length;) {
        const token = longestPiece(chars, at);
        if (token === undefined) return whole;
        tokens.push(token);
        at = token.to;
      }
      return tokens;
    },
  };
}
