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
  if (width > 32) throw new Error(`values take more than 32 bits, got ${width}`);
  let [offset, found] = [0, 0];
  const look = (bit: number, times: number): void => {
    const value = unpack(bytes, bit, width);
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
    if (head % 2 === 0) {
      const length = head / 2;
      if (length > count - seen) throw new Error(`runs hold more than ${count} values`);
      if (offset + Math.ceil(width / 8) > bytes.length) throw new Error("runs end early");
      if (length > 0) look(offset * 8, length);
      offset += Math.ceil(width / 8);
      seen += length;
    } else {
      // Values are packed by eights; the last eight may be filled up.
      const groups = (head - 1) / 2;
      if (groups > Math.ceil((count - seen) / 8)) throw new Error(`runs hold more than ${count} values`);
      if (offset + groups * width > bytes.length) throw new Error("runs end early");
      const length = Math.min(groups * 8, count - seen);
      for (let i = 0; i < length; i++) look(offset * 8 + i * width, 1);
      offset += groups * width;
      seen += groups * 8;
    }
  }
  return found;
}

/** A value of at most 32 bits that begins at a bit; it may reach into five bytes. */
function unpack(bytes: Uint8Array, bit: number, width: number): number {
  const first = Math.floor(bit / 8);
  const bits = bit % 8 + width;
  let value = 0;
  for (let i = Math.ceil(bits / 8) - 1; i >= 0; i--) value = value * 256 + (bytes[first + i] ?? 0);
  return Math.floor(value / 2 ** (bit % 8)) % 2 ** width;
}
