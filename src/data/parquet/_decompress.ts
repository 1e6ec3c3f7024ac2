import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { compressors } from "hyparquet-compressors";
import { unpackLz4 } from "./_lz4.ts";
import type { ZstdThread } from "./_zstd.ts";

/** Takes a page's bytes, and their length when they are unpacked. */
export type Decompressor = (input: Uint8Array, length: number) => Uint8Array;

/**
 * The compressions that are read. Memory is that of the unpacked page whose length is given, whatever the bytes say;
 * the LZ4 framing of Hadoop, which nothing writes any more, isn't among them.
 */
export const decompressors = (zstd: ZstdThread): Readonly<Record<string, Decompressor>> => ({
  UNCOMPRESSED: (input, length) => exact("none", input, length),
  SNAPPY: (input, length) => {
    // Copies of 64 bytes that take three.
    expandable("snappy", input, { length, most: 24 });
    if (snappyLength(input) !== length) throw new Error("a page of snappy isn't as long as it should be");
    return exact("snappy", compressors.SNAPPY!(input, length), length);
  },
  GZIP: (input, length) => exact("gzip", gunzipSync(input, { maxOutputLength: length + 1 }), length),
  BROTLI: (input, length) =>
    exact("brotli", brotliDecompressSync(input, { maxOutputLength: length + 1 }), length),
  ZSTD: (input, length) => zstd.decompress(input, length),
  LZ4_RAW: (input, length) => {
    expandable("lz4", input, { length, most: 255 });
    return unpackLz4(input, length);
  },
});

function exact(codec: string, output: Uint8Array, length: number): Uint8Array {
  if (output.length === length) return output;
  throw new Error(`a page must unpack (${codec}) to ${length} bytes, got ${output.length}`);
}

function expandable(
  codec: string,
  input: Uint8Array,
  { length, most }: { length: number; most: number },
): void {
  if (length > most * input.length + 64) {
    throw new Error(`${input.length} bytes of ${codec} can't be ${length} bytes unpacked`);
  }
}

function snappyLength(input: Uint8Array): number {
  let length = 0;
  for (let i = 0; i < 5; i++) {
    const byte = input[i] ?? 0;
    length += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) break;
  }
  return length;
}
