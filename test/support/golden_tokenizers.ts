import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { fnv, GOLDEN } from "./odd_strings.ts";

/** Columns of numbers by token, as the golden files name them; spans are null for special tokens. */
export interface GoldenTokens {
  readonly ids: readonly number[];
  readonly types: readonly number[];
  readonly spans: readonly (readonly [start: number, end: number] | null)[];
}

/** Columns of numbers by token, as our tokenizers name them. */
interface TokenColumns {
  readonly inputIds: readonly number[];
  readonly tokenTypeIds: readonly number[];
  readonly spans?: readonly (readonly [start: number, end: number] | undefined)[];
  readonly words?: readonly number[];
}

/** What Python's `tokenizers` gives, by the tokenizer's name. */
export interface GoldenTokenizers {
  /** Hash of the code points of all strings. */
  readonly strings: number;
  /** Each one's tokenizer.json. */
  readonly files: Readonly<Record<string, Record<string, unknown>>>;
  /** Tokens of the strings from the seventh on. */
  readonly samples: Readonly<Record<string, readonly GoldenTokens[]>>;
  /** Hashes of the tokens of all strings, then of every tenth's pair, words and windows in turn. */
  readonly hashes: Readonly<Record<string, Uint32Array>>;
}

/** Reads the golden files. */
export function readGoldenTokenizers(): GoldenTokenizers {
  const read = (name: string) => gunzipSync(readFileSync(join(GOLDEN, name)));
  const charsmap = read("charsmap.bin.gz").toString("base64");
  const text = read("tokenizers.json.gz").toString().replaceAll('"charsmap"', JSON.stringify(charsmap));
  const { hashes, ...golden } = JSON.parse(text);
  const words = Object.entries(hashes as Record<string, string>).map(([name, base64]) =>
    [name, new Uint32Array(Uint8Array.from(Buffer.from(base64, "base64")).buffer)] as const
  );
  return { ...golden, hashes: Object.fromEntries(words) };
}

/** The hash that the golden files have of tokens. */
export function hashTokens({ inputIds, tokenTypeIds, spans = [], words = [] }: TokenColumns): number {
  return fnv([...inputIds, ...tokenTypeIds, ...spans.flatMap((span) => span ?? [-1]), ...words]);
}
