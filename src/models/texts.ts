import {
  add,
  type AttentionOptions,
  concat,
  mul,
  reshape,
  scaledDotProductAttention,
  slice,
  takeRows,
  type Tensor,
  zeros,
} from "../engine/mod.ts";
import type { Inputs, TokenTensors } from "./inputs.ts";
import type { AttentionPoint } from "./points/attention_point.ts";
import { forEachText } from "./points/token_point.ts";

/** Hides a key from attention, and is finite. */
const hidden = 1e30;

/** Rows [..., R, ...] of what texts have, [..., B, T, ...]; the same where inputs don't say which token is where. */
export function packTokens(x: Tensor, { rowTokens, tokenRows }: Inputs): Tensor {
  return rowTokens && tokenRows ? takeRows(x, { index: rowTokens, inverse: tokenRows }) : x;
}

/** What texts have, [..., B, T, ...], of rows [..., R, ...]; 0 where there is padding. */
export function unpackTokens(x: Tensor, { rowTokens, tokenRows }: Inputs): Tensor {
  return rowTokens && tokenRows ? takeRows(x, { index: tokenRows, inverse: rowTokens }) : x;
}

/** Options of {@linkcode Texts}. */
export interface TextsOptions {
  /** Virtual tokens in front of each text; none by default. */
  readonly virtual?: number;
}

/** What {@linkcode Texts.attend} needs beside queries and keys. */
export interface AttendOptions extends Pick<AttentionOptions, "scale"> {
  /** Values [..., R, D]. */
  readonly v: Tensor;
  /** What else takes part, and the number of heads. */
  readonly point: AttentionPoint;
}

/**
 * The tokens of a batch of texts. What works on each token alone, as linear layers do, takes the texts as rows without padding
 * between them, [..., R, D], one text's after another's; what mixes tokens takes them text by text, [..., B, T, D]. The bits of what
 * a model learns depend on the order of rows, so they don't depend on how long the batch's longest text is. Where inputs don't say
 * which token is where, both are [..., B, T, D].
 *
 * With P virtual tokens in front of each text, rows are [..., B·P + R, D], those of all texts' virtual tokens first, and texts
 * [..., B, P + T, D]; ids, kinds and positions are of the texts' own tokens alone.
 */
export class Texts {
  /** u32 [..., R]. */
  readonly inputIds: Tensor;
  /** u32 [..., R], if there are any. */
  readonly tokenTypeIds: Tensor | undefined;
  /** u32 [..., R]: where each token stands in its text. Undefined where rows are those of texts, the last axis being their tokens. */
  readonly positions: Tensor | undefined;
  /** Added to the scores of keys, [..., B, P + T]: 0 for a token, −1e30 for padding. */
  readonly keyMask: Tensor;
  readonly #tokens: TokenTensors;
  readonly #virtual: number;

  constructor(tokens: TokenTensors, { virtual = 0 }: TextsOptions = {}) {
    const { inputIds, tokenTypeIds, attentionMask, rowPositions } = tokens;
    this.#tokens = tokens;
    this.#virtual = virtual;
    this.positions = rowPositions;
    this.inputIds = packTokens(inputIds, tokens);
    this.tokenTypeIds = tokenTypeIds && packTokens(tokenTypeIds, tokens);
    this.keyMask = this.#withOpenKeys(mul(add(attentionMask, -1), hidden), virtual);
  }

  /** Rows of states of texts, virtual tokens' included. */
  pack(x: Tensor): Tensor {
    if (this.#virtual === 0) return packTokens(x, this.#tokens);
    const [first, own] = this.#parted(x, -2, this.#virtual);
    return this.#joined(first, packTokens(own, this.#tokens));
  }

  /** The states of texts, virtual tokens' included; 0 where there is padding. */
  unpack(x: Tensor): Tensor {
    if (this.#virtual === 0) return unpackTokens(x, this.#tokens);
    const first = slice(x, { axis: -2, start: 0, end: this.#texts * this.#virtual });
    const shape = [...this.#leading, this.#virtual, x.shape.at(-1)!];
    return concat([reshape(first, shape), this.own(x)], { axis: -2 });
  }

  /** The states of texts' own tokens, [..., B, T, D], of all rows. */
  own(x: Tensor): Tensor {
    if (this.#virtual === 0) return unpackTokens(x, this.#tokens);
    const [, own] = this.#parted(x, -2, this.#texts * this.#virtual);
    if (this.#tokens.rowTokens) return unpackTokens(own, this.#tokens);
    return reshape(own, [...this.#leading, this.#tokens.inputIds.shape.at(-1)!, x.shape.at(-1)!]);
  }

  /** All rows, of the states [P, D] or [C, P, D] of virtual tokens, the same for each text, and the rows of texts' own tokens. */
  join(virtual: Tensor, own: Tensor): Tensor {
    return this.#joined(forEachText(virtual, this.#leading), own);
  }

  /** Attention within each text, of rows [..., R, D]. */
  attend(q: Tensor, k: Tensor, { v, point, ...options }: AttendOptions): Tensor {
    const { keys, values, heads } = point;
    const mixed = scaledDotProductAttention(
      this.unpack(point.queries(q)),
      this.#behind(keys, this.unpack(k)),
      {
        ...options,
        heads,
        v: this.#behind(values, this.unpack(v)),
        mask: keys ? this.#withOpenKeys(this.keyMask, keys.shape.at(-2)!) : this.keyMask,
      },
    );
    const packed = this.pack(mixed);
    const result = point.mixed(packed);
    for (const each of [q, k, v, mixed]) if (each !== result) each.forget();
    return result;
  }

  /** Axes in front of the tokens of a text. */
  get #leading(): readonly number[] {
    return this.#tokens.inputIds.shape.slice(0, -1);
  }

  /** Texts of each member. */
  get #texts(): number {
    return this.#leading.at(-1) ?? 1;
  }

  /** What stands before a place of an axis, and the rest. */
  #parted(x: Tensor, axis: number, at: number): [Tensor, Tensor] {
    return [slice(x, { axis, start: 0, end: at }), slice(x, { axis, start: at, end: x.shape.at(axis)! })];
  }

  /** Rows of virtual tokens, then those of the others. */
  #joined(virtual: Tensor, own: Tensor): Tensor {
    const shape = [...this.#leading.slice(0, -1), -1, own.shape.at(-1)!];
    return concat([reshape(virtual, shape), reshape(own, shape)], { axis: -2 });
  }

  /** Keys or values behind others that every text has. */
  #behind(first: Tensor | undefined, x: Tensor): Tensor {
    return first ? concat([forEachText(first, this.#leading), x], { axis: -2 }) : x;
  }

  /** A mask of keys behind `count` that none is hidden of. */
  #withOpenKeys(mask: Tensor, count: number): Tensor {
    return count === 0 ? mask : concat([zeros(mask.gpu, mask.shape.with(-1, count)), mask], { axis: -1 });
  }
}
