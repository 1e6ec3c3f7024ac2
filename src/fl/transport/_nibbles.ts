import { corruptPayload } from "./_make_codec.ts";

/** Whole numbers from −8 to 7, two to a byte, the first in the low bits; an odd last one has 0 beside it. */
export function packNibbles(values: Int8Array): Uint8Array<ArrayBuffer> {
  const packed = new Uint8Array(Math.ceil(values.length / 2));
  for (let i = 0; i < values.length; i++) packed[i >> 1]! |= (values[i]! & 15) << (4 * (i & 1));
  return packed;
}

/**
 * The first n numbers that {@linkcode packNibbles} has packed.
 *
 * @throws {CorruptFileError} when something else than 0 stands beside an odd last one.
 */
export function unpackNibbles(packed: Uint8Array, n: number): Int8Array<ArrayBuffer> {
  if (n % 2 === 1 && packed[packed.length - 1]! > 15) throw corruptPayload("its last half byte must be 0");
  const values = new Int8Array(n);
  // Shifted to the top of a word and back, so that the sign fills the rest.
  for (let i = 0; i < n; i++) values[i] = (packed[i >> 1]! << (28 - 4 * (i & 1))) >> 28;
  return values;
}
