import { PieceTrie } from "./piece_trie.ts";
import { asFlag, asId, asList, type Config, refuse, show } from "../read_config.ts";
import { byteTokens, type TokenModel, type WordToken } from "./token_model.ts";

/** An unknown character is less likely than any piece by this. */
const UNKNOWN_PENALTY = 10;

/**
 * Unigram: the likeliest of all splits into pieces (Kudo 2018, arXiv:1804.10959, section 3.2); neighbouring unknown
 * characters are one token, or their bytes.
 *
 * @throws {TokenizerError} if the settings or the vocabulary don't make sense.
 */
export function readUnigram(config: Config): TokenModel {
  const list = asList(config.vocab, "model.vocab");
  const scores = Float64Array.from(list, readScore);
  const ids = new Map(list.map((entry, id) => [(entry as [string, number])[0], id]));
  const unknown = asId(config.unk_id, "model.unk_id");
  if (unknown >= list.length) refuse(`model.unk_id must be below ${list.length}, got ${unknown}`);
  const unknownScore = scores.reduce((least, score) => Math.min(least, score)) - UNKNOWN_PENALTY;
  const fallsBack = asFlag(config.byte_fallback, "model.byte_fallback", false);
  const pieces = new PieceTrie();
  for (const [piece, id] of ids) pieces.add(piece, id);

  /** Viterbi's algorithm; of equally likely splits the one whose last piece is longest. */
  const likeliest = (chars: readonly string[]): WordToken[] => {
    const best = new Float64Array(chars.length + 1);
    const last: (WordToken | undefined)[] = new Array(chars.length + 1).fill(undefined);
    const relax = (token: WordToken, score: number) => {
      const total = score + best[token.from]!;
      if (last[token.to] !== undefined && total <= best[token.to]!) return;
      best[token.to] = total;
      last[token.to] = token;
    };
    for (let from = 0; from < chars.length; from++) {
      let hasSingle = false;
      let node: number | undefined = PieceTrie.ROOT;
      for (let at = from; at < chars.length;) {
        node = pieces.child(node, chars[at++]!);
        if (node === undefined) break;
        const id = pieces.idAt(node);
        if (id === undefined) continue;
        relax({ id, from, to: at }, scores[id]!);
        hasSingle ||= at === from + 1;
      }
      if (!hasSingle) relax({ id: unknown, from, to: from + 1 }, unknownScore);
    }
    const tokens: WordToken[] = [];
    for (let at = chars.length; at > 0; at = tokens.at(-1)!.from) tokens.push(last[at]!);
    return tokens.reverse();
  };

  return {
    ids,
    size: list.length,
    encode(chars) {
      const tokens: WordToken[] = [];
      for (const token of likeliest(chars)) {
        const before = tokens.at(-1);
        if (token.id === unknown && before?.id === unknown) {
          tokens[tokens.length - 1] = { ...before, to: token.to };
        } else {
          tokens.push(token);
        }
      }
      if (!fallsBack) return tokens;
      return tokens.flatMap((token) => {
        if (token.id !== unknown) return token;
        const bytes = byteTokens(chars.slice(token.from, token.to).join(""), ids);
        return bytes?.map((id) => ({ ...token, id })) ?? token;
      });
    },
  };
}

function readScore(entry: unknown, id: number): number {
  const isPiece = Array.isArray(entry) && entry.length === 2 && typeof entry[0] === "string" &&
    Number.isFinite(entry[1]);
  return isPiece ? entry[1] : refuse(`model.vocab[${id}] must be [piece, score], got ${show(entry)}`);
}
