import { noRow } from "../engine/mod.ts";
import type { Extents } from "./largest.ts";

/** How the tokens of some texts are laid out for a model. */
export interface RowLayout {
  /** Tokens of a text T, padding included. */
  readonly length: number;
  /** Rows of each member R, where tokens stand in rows without padding between texts; undefined where they don't. */
  readonly rows?: number | undefined;
}

/** Options of {@linkcode layOut}. */
export interface LayOutOptions {
  /** The most tokens that a text may have. */
  readonly longest: number;
  /**
   * Share of the rows that must be padding, for it to be left out, where nothing is summed over rows; by default, it's left out
   * wherever there is any.
   */
  readonly worth?: number;
}

/** What lengths and rows are multiples of, so that few of them differ. */
const step = 8;

/**
 * The layout of texts by the number of tokens of each, member by member. A member's real tokens stand one after another in its rows,
 * whatever the layout: padding is left between texts only where there is none, so that sums over rows are the same beside any others.
 *
 * @param tokens of each text of each member, as many texts each; 0 where there is no text.
 */
export function layOut(
  tokens: readonly (readonly number[])[],
  { longest, worth = 0 }: LayOutOptions,
): RowLayout {
  const most = tokens.flat().reduce((most, count) => Math.max(most, count), 1);
  const length = paddedLength(most, longest);
  /** Texts before a member's last one that has tokens: padding after them would be between tokens. */
  const before = tokens.flatMap((own) => own.slice(0, Math.max(0, own.findLastIndex((count) => count > 0))));
  if (before.every((count) => count === most)) return { length: before.length === 0 ? length : most };
  const rows = tokens.reduce((most, own) => Math.max(most, own.reduce((sum, count) => sum + count, 0)), 0);
  // Without a worth a member with padding is packed even beside one that is full: nobody's rows may depend on others'.
  return worth === 0 || rows < (tokens[0]?.length ?? 0) * length * (1 - worth)
    ? { length, rows: roundUp(rows) }
    : { length };
}

/** The length that texts of at most so many tokens are padded to. */
export function paddedLength(tokens: number, longest: number): number {
  return Math.min(longest, roundUp(Math.max(1, tokens)));
}

function roundUp(count: number): number {
  return Math.ceil(count / step) * step;
}

/** What the memory for so many texts of each member depends on. */
export function extentsOf(texts: number, { length, rows }: RowLayout): Extents {
  return rows === undefined
    ? { kind: "padded", sizes: [texts, length] }
    : { kind: "packed", sizes: [texts, length, rows] };
}

/** Where tokens and rows are, on the host. */
export interface RowPlaces {
  /** [members, rows]; see `TokenTensors.rowTokens`. */
  readonly rowTokens: Uint32Array;
  /** [members, texts, length]. */
  readonly tokenRows: Uint32Array;
  /** [members, rows]. */
  readonly rowPositions: Uint32Array;
}

/** Where each token stands in the rows of a layout, and the other way round. */
export function placeRows(
  tokens: readonly (readonly number[])[],
  { length, rows }: { readonly length: number; readonly rows: number },
): RowPlaces {
  const texts = Math.max(...tokens.map((each) => each.length));
  const rowTokens = new Uint32Array(tokens.length * rows).fill(noRow);
  const rowPositions = new Uint32Array(tokens.length * rows);
  const tokenRows = new Uint32Array(tokens.length * texts * length).fill(noRow);
  tokens.forEach((own, member) => {
    let row = member * rows;
    own.forEach((count, text) => {
      for (let position = 0; position < count; position++, row++) {
        const token = (member * texts + text) * length + position;
        rowTokens[row] = token;
        rowPositions[row] = position;
        tokenRows[token] = row;
      }
    });
  });
  return { rowTokens, tokenRows, rowPositions };
}
