/** Bits of the largest value: it and the seven bits before it fit into 32. Dictionaries have far fewer values. */
const MAX_WIDTH = 25;

/** Options of {@linkcode checkRuns}. */
export interface RunsOptions {
  /** Bits of a value. */
  readonly width: number;
  /** How many values there must be. */
  readonly count: number;
  /** The value to count; none by default. */
  readonly counted?: number;
  /** What every value must be less than; anything by default. */
  readonly below?: number;
}

/**
 * Checks values in Parquet's mixture of runs and packed bits: as many as there must be, all of them inside of the
 * bytes. A run says itself how often it repeats its value, up to 2³⁰ times, and a trusting reader would store them all.
 *
 * @returns how often `counted` is among them.
 * @throws {Error} saying what is wrong.
 */
export function checkRuns(bytes: Uint8Array, options: RunsOptions): number {
  const { width, count, counted, below = Infinity } = options;
  if (width > MAX_WIDTH) throw new Error(`values take more than ${MAX_WIDTH} bits, got ${width}`);
  const mask = 2 ** width - 1;
  let [offset, found] = [0, 0];
  const look = (value: number, times: number): void => {
    if (value >= below) throw new Error(`a value must be less than ${below}, got ${value}`);
    if (value === counted) found += times;
  };
  for (let seen = 0; seen < count;) {
    let head = 0;
    for (let shift = 0;; shift += 7) {
      const byte = bytes[offset++];
      if (byte === undefined) throw new Error(`runs hold ${seen} values of ${count}`);
      head += (byte & 0x7f) * 2 ** shift;
      if (head >= 2 ** 31 || shift > 28) throw new Error("a run is too long");
      if (byte < 0x80) break;
    }
    const packed = head % 2 === 1;
    const repeats = packed ? (head - 1) / 2 : head / 2;
    const end = offset + (packed ? repeats * width : Math.ceil(width / 8));
    // Values are packed by eights; the last eight may be filled up.
    const most = packed ? Math.ceil((count - seen) / 8) : count - seen;
    if (repeats > most) throw new Error(`runs hold more than ${count} values`);
    if (end > bytes.length) throw new Error("runs end early");
    if (packed) {
      const length = Math.min(repeats * 8, count - seen);
      let [buffer, bits, at] = [0, 0, offset];
      for (let i = 0; i < length; i++) {
        for (; bits < width; bits += 8) buffer |= bytes[at++]! << bits;
        look(buffer & mask, 1);
        buffer >>>= width;
        bits -= width;
      }
      seen += length;
    } else {
      // Whole bytes: what stands in bits that aren't the value's would be taken for a part of it.
      let value = 0;
      for (let at = end - 1; at >= offset; at--) value = value * 256 + bytes[at]!;
      if (repeats > 0) look(value, repeats);
      seen += repeats;
    }
    offset = end;
  }
  return found;
}
