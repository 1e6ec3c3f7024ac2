import {
  add,
  type AttentionOptions,
  mul,
  scaledDotProductAttention,
  takeRows,
  type Tensor,
} from "../engine/mod.ts";
import type { Inputs, TokenTensors } from "./inputs.ts";

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

/** What {@linkcode Texts.attend} needs beside queries and keys. */
export interface AttendOptions extends Pick<AttentionOptions, "heads" | "scale"> {
  /** Values [..., R, D]. */
  readonly v: Tensor;
}

/**
 * The tokens of a batch of texts. What works on each token alone, as linear layers do, takes the texts as rows without padding
 * between them, [..., R, D], one text's after another's; what mixes tokens takes them text by text, [..., B, T, D]. The bits of what
 * a model learns depend on the order of rows, so they don't depend on how long the batch's longest text is. Where inputs don't say
 * which token is where, both are [..., B, T, D].
 */
export class Texts {
  /** u32 [..., R]. */
  readonly inputIds: Tensor;
  /** u32 [..., R], if there are any. */
  readonly tokenTypeIds: Tensor | undefined;
  /** u32 [..., R]: where each token stands in its text. Undefined where rows are those of texts, the last axis being their tokens. */
  readonly positions: Tensor | undefined;
  /** Added to the scores of keys, [..., B, T]: 0 for a token, −1e30 for padding. */
  readonly keyMask: Tensor;
  readonly #tokens: TokenTensors;

  constructor(tokens: TokenTensors) {
    const { inputIds, tokenTypeIds, attentionMask, rowPositions } = tokens;
    this.#tokens = tokens;
    this.positions = rowPositions;
    this.inputIds = this.pack(inputIds);
    this.tokenTypeIds = tokenTypeIds && this.pack(tokenTypeIds);
    this.keyMask = mul(add(attentionMask, -1), hidden);
  }

  /** As {@linkcode packTokens}. */
  pack(x: Tensor): Tensor {
    return packTokens(x, this.#tokens);
  }

  /** As {@linkcode unpackTokens}. */
  unpack(x: Tensor): Tensor {
    return unpackTokens(x, this.#tokens);
  }

  /** Attention within each text, of rows [..., R, D]. */
  attend(q: Tensor, k: Tensor, { v, ...options }: AttendOptions): Tensor {
    const mixed = scaledDotProductAttention(this.unpack(q), this.unpack(k), {
      ...options,
      v: this.unpack(v),
      mask: this.keyMask,
    });
    const packed = this.pack(mixed);
    for (const each of [q, k, v, mixed]) if (each !== packed) each.forget();
    return packed;
  }
}
