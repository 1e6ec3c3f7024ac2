/**
 * Unpacks a block of LZ4: literals, then bytes from up to 64 KiB back, and so on, literals at the end.
 *
 * @throws {Error} if it doesn't unpack to so many bytes.
 */
export function unpackLz4(input: Uint8Array, length: number): Uint8Array {
  const output = new Uint8Array(length);
  let [from, to] = [0, 0];
  const byte = (): number => {
    if (from >= input.length) throw new Error("a page of lz4 ends early");
    return input[from++]!;
  };
  /** A count that goes on for as long as its bytes are 255. */
  const extended = (count: number): number => {
    if (count < 15) return count;
    let more = byte();
    for (count += more; more === 255; count += more) more = byte();
    return count;
  };
  for (;;) {
    const token = byte();
    const literals = extended(token >> 4);
    if (literals > input.length - from || literals > length - to) {
      throw new Error("a page of lz4 contradicts itself");
    }
    output.set(input.subarray(from, from += literals), to);
    to += literals;
    if (from === input.length) break;
    const distance = byte() | byte() << 8;
    const count = extended(token & 15) + 4;
    if (distance === 0 || distance > to || count > length - to) {
      throw new Error("a page of lz4 contradicts itself");
    }
    // One by one: what is copied may be what has just been.
    for (const end = to + count; to < end; to++) output[to] = output[to - distance]!;
  }
  if (to !== length) throw new Error(`a page must unpack (lz4) to ${length} bytes, got ${to}`);
  return output;
}
