import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The folder of what Python's `tokenizers` gives. */
export const GOLDEN = join(import.meta.dirname, "../golden/tokenizers");
/** Code points of a long string. */
const LONG = 100_000;

interface Kind {
  readonly pieces?: readonly string[];
  readonly ranges?: readonly (readonly [first: number, last: number])[];
}

const KINDS = JSON.parse(readFileSync(join(GOLDEN, "odd_strings.json"), "utf8")) as Record<string, Kind>;

/** Mulberry32: unsigned 32-bit integers. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed;;) {
    state = state + 0x6d2b_79f5 | 0;
    let t = Math.imul(state ^ state >>> 15, state | 1);
    t = t + Math.imul(t ^ t >>> 7, t | 61) ^ t;
    yield (t ^ t >>> 14) >>> 0;
  }
}

/** Strings of emoji, scripts of all kinds, combining marks, controls and what else is odd; the golden script's twins. */
class OddStrings {
  readonly #kinds = Object.values(KINDS);
  readonly #numbers = numbers(1);

  string(): string {
    const parts: string[] = [];
    for (let count = 1 + this.#below(12); count > 0; count--) {
      const kind = this.#kinds[this.#below(this.#kinds.length)]!;
      for (let items = 1 + this.#below(8); items > 0; items--) parts.push(this.#item(kind));
      if (this.#below(3) === 0) parts.push(" ");
    }
    return parts.join("");
  }

  long(kind?: Kind): string {
    const chars: string[] = [];
    while (chars.length < LONG) chars.push(...(kind === undefined ? this.string() : this.#item(kind)));
    return chars.slice(0, LONG).join("");
  }

  #below(count: number): number {
    return this.#numbers.next().value % count;
  }

  #item({ pieces, ranges }: Kind): string {
    if (pieces !== undefined) return pieces[this.#below(pieces.length)]!;
    const [first, last] = ranges![this.#below(ranges!.length)]!;
    return String.fromCodePoint(first + this.#below(last - first + 1));
  }
}

/** The 1,000 odd strings of the golden file; the last four have 10⁵ code points each. */
export function oddStrings(): string[] {
  const odd = new OddStrings();
  const strings = ["", " ", "\n", "a", "\u0301", "[CLS]", "<s>"];
  while (strings.length < 996) strings.push(odd.string());
  strings.push(odd.long(), "a".repeat(LONG), odd.long(KINDS.chinese));
  strings.push("a" + [...odd.long({ ranges: [[0x300, 0x314]] })].slice(1).join(""));
  return strings;
}

/** FNV-1a over unsigned 32-bit integers. */
export function fnv(values: Iterable<number>): number {
  let hash = 0x811c_9dc5;
  for (const value of values) hash = Math.imul(hash ^ value, 0x0100_0193);
  return hash >>> 0;
}
