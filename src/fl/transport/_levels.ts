import { multiplyHigh, philox4x32, type PhiloxBlock, type RandomKey, randomKey } from "../../engine/mod.ts";
import { bitsOf } from "./short_floats.ts";

/** Options of {@linkcode quantizeRow}. */
export interface QuantizeRowOptions {
  /** Levels beside 0 of either sign. */
  readonly levels: number;
  readonly key: RandomKey;
  /** Words that tell apart the draws of several tensors under one key. */
  readonly site: readonly [number, number];
  /** The row's place in its tensor. */
  readonly row: number;
}

/** What keeps apart the random draws of tensors with different names. */
export function siteOf(name: string): readonly [number, number] {
  return randomKey(0, "codec", name);
}

/**
 * Rounds the values of a row at random to whole multiples of largest/levels, into `target`, as quantize.wgsl does: the same draws,
 * and whole numbers all the way, so that the two agree to the bit.
 *
 * @returns the largest magnitude.
 */
export function quantizeRow(values: Float32Array, target: Int8Array, options: QuantizeRowOptions): number {
  const { levels, key, site, row } = options;
  const bits = bitsOf(values);
  // Magnitudes have the order of their bits.
  let largest = 0;
  for (let i = 0; i < bits.length; i++) largest = Math.max(largest, bits[i]! & 0x7fffffff);
  let draws: PhiloxBlock = [0, 0, 0, 0];
  for (let column = 0; column < bits.length; column++) {
    if (column % 4 === 0) draws = philox4x32([column / 4, row, ...site], key);
    const magnitude = bits[column]! & 0x7fffffff;
    const level = magnitude === 0 ? 0 : levelOf(magnitude, { largest, levels, draw: draws[column % 4]! });
    target[column] = bits[column]! >>> 31 === 0 ? level : -level;
  }
  return new Float32Array(Uint32Array.of(largest).buffer)[0]!;
}

function levelOf(
  magnitude: number,
  { largest, levels, draw }: { readonly largest: number; readonly levels: number; readonly draw: number },
): number {
  const apart = exponentOf(largest) - exponentOf(magnitude);
  const shift = Math.min(apart, 8);
  const divisor = significandOf(largest) * 2 ** shift;
  const dividend = Math.floor(significandOf(magnitude) * levels / 2 ** (apart - shift));
  const level = Math.floor(dividend / divisor);
  return level + (multiplyHigh(draw, divisor) < dividend - level * divisor ? 1 : 0);
}

/** A magnitude is significand·2^(exponent − 150), significand below 2^24. */
function exponentOf(magnitude: number): number {
  return Math.max(magnitude >>> 23, 1);
}

function significandOf(magnitude: number): number {
  return magnitude < 0x800000 ? magnitude : (magnitude & 0x7fffff) | 0x800000;
}
