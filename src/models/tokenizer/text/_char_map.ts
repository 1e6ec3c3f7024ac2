import type { AlignedText, CharChange } from "./aligned_text.ts";
import { refuse } from "../read_config.ts";

const HAS_LEAF = 1 << 8;
const LABEL = 0x8000_00ff;
/** Longer clusters of characters are looked up character by character. */
const MAX_CLUSTER_BYTES = 5;
/** What clusters of few bytes may have, beside a first character that stands alone in other places. */
const JOINS =
  /[\r\p{Grapheme_Extend}\p{M}\u0e33\u0eb3\u200d\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e]/u;
const CHUNK = 256;
const MAX_KNOWN = 1 << 16;

/**
 * SentencePiece's compiled normalisation rules: a double-array trie (Aoe 1989) over UTF-8, whose leaves point into a
 * pool of zero-terminated replacements. Grapheme clusters are looked up first, then single characters.
 */
export class CharMap {
  readonly #units: DataView;
  readonly #pool: Uint8Array;
  readonly #encoder = new TextEncoder();
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #known = new Map<string, string | undefined>();

  /** @throws {TokenizerError} if the rules don't decode. */
  constructor(base64: string, what: string) {
    const bytes = decodeBase64(base64) ?? refuse(`${what} must be base64`);
    const size = bytes.length < 4 ? 0 : new DataView(bytes.buffer).getUint32(0, true);
    if (size < 4 || size % 4 !== 0 || size + 4 > bytes.length) {
      refuse(`${what} must hold a trie and its texts, got ${bytes.length} bytes for a trie of ${size}`);
    }
    this.#units = new DataView(bytes.buffer, 4, size);
    this.#pool = bytes.subarray(4 + size);
  }

  /** The text with the rules' replacements. */
  apply(text: AlignedText): AlignedText {
    const changes: CharChange[] = [];
    for (const cluster of JOINS.test(text.text) ? clusters(text.text) : text.chars) {
      const chars = [...cluster];
      const replaced = this.#replacement(cluster);
      if (replaced !== undefined) pushReplacement(changes, chars.length, replaced);
      else if (chars.length === 1) changes.push([cluster, 0]);
      else {
        for (const char of chars) {
          const single = this.#replacement(char);
          if (single === undefined) changes.push([char, 0]);
          else pushReplacement(changes, 1, single);
        }
      }
    }
    return text.transform(changes);
  }

  #replacement(cluster: string): string | undefined {
    // No character takes more bytes than three for each of its UTF-16 units, nor less than one.
    if (cluster.length > MAX_CLUSTER_BYTES) return undefined;
    if (this.#known.has(cluster)) return this.#known.get(cluster);
    const key = this.#encoder.encode(cluster);
    const found = key.length <= MAX_CLUSTER_BYTES ? this.#lookUp(key) : undefined;
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(cluster, found);
    return found;
  }

  /** The replacement of the shortest prefix that has one, which is what the Rust library looks up. */
  #lookUp(key: Uint8Array): string | undefined {
    let unit = this.#unit(0);
    let node = offsetOf(unit);
    for (const byte of key) {
      if (byte === 0) return undefined;
      node ^= byte;
      unit = this.#unit(node);
      if ((unit & LABEL) !== byte) return undefined;
      node ^= offsetOf(unit);
      if (unit & HAS_LEAF) {
        const start = this.#unit(node) & 0x7fff_ffff;
        const end = this.#pool.indexOf(0, start);
        return this.#decoder.decode(this.#pool.subarray(start, end < 0 ? undefined : end));
      }
    }
    return undefined;
  }

  #unit(node: number): number {
    const at = (node >>> 0) * 4;
    return at + 4 <= this.#units.byteLength ? this.#units.getUint32(at, true) : 0;
  }
}

/** Grapheme clusters, found chunk by chunk: the time that Intl.Segmenter takes grows with the square of a text. */
function* clusters(text: string): Generator<string> {
  const segmenter = new Intl.Segmenter("und", { granularity: "grapheme" });
  for (let at = 0, length = CHUNK; at < text.length;) {
    // No chunk ends between the two units of one character.
    const end = at + length + (text.codePointAt(at + length - 1)! > 0xffff ? 1 : 0);
    const found = Array.from(segmenter.segment(text.slice(at, end)), ({ segment }) => segment);
    // The last cluster of a chunk may go on behind it.
    if (end < text.length) found.pop();
    for (const cluster of found) {
      yield cluster;
      at += cluster.length;
    }
    length = found.length === 0 ? 2 * length : CHUNK;
  }
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch (error) {
    if (error instanceof DOMException) return undefined;
    throw error;
  }
}

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & (1 << 9)) >>> 6);
}

/** A replacement of `oldCount` characters. */
function pushReplacement(changes: CharChange[], oldCount: number, replacement: string): void {
  const chars = [...replacement];
  for (const [i, char] of chars.entries()) changes.push([char, i < oldCount ? 0 : 1]);
  const last = changes.at(-1);
  if (chars.length < oldCount && last) {
    changes[changes.length - 1] = [last[0], last[1] + chars.length - oldCount];
  }
}
