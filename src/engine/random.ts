/** Four 32-bit words: a counter, or one block of output. */
export type PhiloxBlock = readonly [number, number, number, number];

/** The 64-bit key of a Philox stream, as two 32-bit words. */
export type RandomKey = readonly [number, number];

const TWO_32 = 2 ** 32;
const TWO_53 = 2 ** 53;
const NUMBER_TAG = 1;
const STRING_TAG = 2;
const UNIT_TAG = 3;
const SMALLEST_SHAPE = 1e-300;

/** High word of the 64-bit product of two 32-bit words. */
export function multiplyHigh(a: number, b: number): number {
  // Both partial products stay below 2^48, so float64 holds them exactly.
  return Math.floor((a * (b >>> 16) + Math.floor((a * (b & 0xffff)) / 0x10000)) / 0x10000);
}

/**
 * Philox4x32-10: turns a 128-bit counter into 128 random bits, a bijection for each 64-bit key. The shaders compute
 * the same function, so host and device agree on every draw.
 *
 * Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), section 3.3.
 *
 * @param counter four words, each taken modulo 2^32
 * @param key two words, each taken modulo 2^32
 * @example
 * ```ts
 * philox4x32([0, 0, 0, 0], [0, 0]); // [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]
 * ```
 */
export function philox4x32(counter: PhiloxBlock, key: RandomKey): PhiloxBlock {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(c0 >>> 0, 0xd2511f53);
    const low0 = Math.imul(c0, 0xd2511f53);
    const high1 = multiplyHigh(c2 >>> 0, 0xcd9e8d57);
    const low1 = Math.imul(c2, 0xcd9e8d57);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) | 0;
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  return [c0 >>> 0, c1 >>> 0, c2 >>> 0, c3 >>> 0];
}

function checkInteger(value: number, smallest: 0 | 1, action: string, name: string): void {
  if (!Number.isSafeInteger(value) || value < smallest) {
    throw new RangeError(
      `${action}: ${name} must be an integer from ${smallest} to ${Number.MAX_SAFE_INTEGER}, got ${value}`,
    );
  }
}

/** Below 1e-300 the logarithm of a gamma draw would overflow. */
function checkShape(value: number, action: string, name: string): void {
  if (!(value >= SMALLEST_SHAPE && value < Infinity)) {
    throw new RangeError(
      `${action}: ${name} must be a finite number of at least ${SMALLEST_SHAPE}, got ${value}`,
    );
  }
}

/**
 * Derives the key of one stream from a seed and the stream's place: its name, epoch, step, and so on. The key
 * depends on nothing else, so the order in which streams are created or drawn from never matters.
 *
 * Each component is absorbed by one or more Philox blocks under the key so far, with a tag that distinguishes the number 1
 * from the string "1" and a length that distinguishes ("ab", "c") from ("a", "bc").
 *
 * @param seed any integer from 0 to 2^53 - 1
 * @param path names, or integers from 0 to 2^53 - 1
 * @throws {RangeError} if the seed or a number of the path is negative, fractional or above 2^53 - 1
 * @example
 * ```ts
 * const key = randomKey(42, "dropout", 3, 17);
 * ```
 */
export function randomKey(seed: number, ...path: readonly (number | string)[]): RandomKey {
  let key: RandomKey = [0, 0];
  const absorb = (low: number, high: number, tag: number): void => {
    const [k0, k1] = philox4x32([low, high, tag, 0], key);
    key = [k0, k1];
  };
  for (const [i, part] of [seed, ...path].entries()) {
    if (typeof part === "string") {
      absorb(part.length, 0, STRING_TAG);
      for (let j = 0; j < part.length; j++) absorb(part.charCodeAt(j), 0, UNIT_TAG);
    } else {
      checkInteger(part, 0, "Cannot derive a random key", i === 0 ? "the seed" : `path component ${i}`);
      absorb(part % TWO_32, Math.floor(part / TWO_32), NUMBER_TAG);
    }
  }
  return key;
}

/**
 * A sequence of random draws from one Philox key. Two streams of equal key yield equal draws; streams of different
 * keys are independent for every practical purpose. Bits, uniform draws, integers and orders are the same on every
 * machine; normal, gamma and Dirichlet draws pass through `Math.log` and its like, whose last bit is the engine's own.
 *
 * @example
 * ```ts
 * const stream = new RandomStream(randomKey(42, "sample rows", 3));
 * const rows = stream.sampleWithoutReplacement(100, 10);
 * ```
 */
export class RandomStream {
  readonly #key: RandomKey;
  #block: PhiloxBlock = [0, 0, 0, 0];
  #blockIndex = 0;
  #used = 4;
  #spareNormal: number | undefined;

  /** Starts at the first draw of `key`; see {@link randomKey}. */
  constructor(key: RandomKey) {
    this.#key = key;
  }

  /** The next 32 random bits, as an integer from 0 to 2^32 - 1. */
  uint32(): number {
    if (this.#used === 4) {
      const high = Math.floor(this.#blockIndex / TWO_32);
      this.#block = philox4x32([this.#blockIndex % TWO_32, high, 0, 0], this.#key);
      this.#blockIndex++;
      this.#used = 0;
    }
    return this.#block[this.#used++]!;
  }

  /**
   * A uniform draw from [0, 1).
   *
   * @param bits 53 (two words, every multiple of 2^-53) or 24 (one word, exact in f32)
   */
  uniform(bits: 24 | 53 = 53): number {
    if (bits === 24) return (this.uint32() >>> 8) / 2 ** 24;
    const high = this.uint32() >>> 5;
    return (high * 2 ** 26 + (this.uint32() >>> 6)) / TWO_53;
  }

  /**
   * A uniform integer from 0 to n - 1. Draws that would favour small values are rejected, so there is no modulo bias.
   *
   * @throws {RangeError} if n is not an integer from 1 to 2^53 - 1
   */
  integer(n: number): number {
    checkInteger(n, 1, "Cannot draw an integer below n", "n");
    const range = n <= TWO_32 ? TWO_32 : TWO_53;
    const limit = range - (range % n);
    for (;;) {
      const draw = range === TWO_32 ? this.uint32() : this.uniform() * TWO_53;
      if (draw < limit) return draw % n;
    }
  }

  /** A standard normal draw (Box and Muller, 1958); finite, at most 8.6 in absolute value. */
  normal(): number {
    const spare = this.#spareNormal;
    if (spare !== undefined) {
      this.#spareNormal = undefined;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /**
   * A draw from the gamma distribution of the given shape and scale 1. Very small shapes can underflow to 0, as the
   * distribution itself puts its mass there.
   *
   * @throws {RangeError} if shape is not a finite number of at least 1e-300
   */
  gamma(shape: number): number {
    checkShape(shape, "Cannot draw from a gamma distribution", "shape");
    return Math.exp(this.#logGamma(shape));
  }

  /**
   * A point of a Dirichlet distribution: shares that are non-negative and sum to 1. Small `alpha` concentrates the mass on few
   * shares, large `alpha` evens them out.
   *
   * @param alpha one concentration for all shares, or one for each
   * @param k how many shares; only beside one concentration
   * @throws {RangeError} if a concentration is not a finite number of at least 1e-300, or k not a positive integer
   */
  dirichlet(alpha: number | ArrayLike<number>, k?: number): Float64Array {
    const action = "Cannot draw from a Dirichlet distribution";
    const length = typeof alpha === "number" ? k ?? NaN : alpha.length;
    checkInteger(length, 1, action, "k");
    const shapes = typeof alpha === "number"
      ? new Float64Array(length).fill(alpha)
      : Float64Array.from(alpha);
    for (const shape of shapes) checkShape(shape, action, "alpha");
    // Normalising in the log domain: for small alpha every gamma draw can underflow, and 0/0 would follow.
    const shares = shapes.map((shape) => this.#logGamma(shape));
    const largest = shares.reduce((a, b) => Math.max(a, b));
    for (let i = 0; i < length; i++) shares[i] = Math.exp(shares[i]! - largest);
    const total = shares.reduce((a, b) => a + b);
    return shares.map((share) => share / total);
  }

  /** Shuffles `items` in place, every order equally likely (Fisher and Yates), and returns it. */
  shuffle<T extends { [index: number]: unknown; readonly length: number }>(items: T): T {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [items[i], items[j]] = [items[j], items[i]];
    }
    return items;
  }

  /**
   * `k` distinct integers from 0 to n - 1 in random order, every such sequence equally likely. Memory grows with k,
   * not with n.
   *
   * @throws {RangeError} if n or k is not a non-negative integer, or k exceeds n
   */
  sampleWithoutReplacement(n: number, k: number): number[] {
    checkInteger(n, 0, "Cannot sample without replacement", "n");
    checkInteger(k, 0, "Cannot sample without replacement", "k");
    if (k > n) {
      throw new RangeError(
        `Cannot sample without replacement: k must not exceed n, got k = ${k} and n = ${n}`,
      );
    }
    // The first k steps of a shuffle of 0..n-1, where only the displaced entries are stored.
    const displaced = new Map<number, number>();
    return Array.from({ length: k }, (_, i) => {
      const j = i + this.integer(n - i);
      const chosen = displaced.get(j) ?? j;
      displaced.set(j, displaced.get(i) ?? i);
      return chosen;
    });
  }

  /** Marsaglia and Tsang (2000); a shape below 1 is boosted by one and scaled back by U^(1/shape). */
  #logGamma(shape: number): number {
    if (shape < 1) {
      const logBoost = Math.log(1 - this.uniform()) / shape;
      return this.#logGamma(shape + 1) + logBoost;
    }
    const d = shape - 1 / 3;
    const c = 1 / Math.sqrt(9 * d);
    for (;;) {
      const x = this.normal();
      const v = (1 + c * x) ** 3;
      if (v > 0 && Math.log(1 - this.uniform()) < 0.5 * x * x + d * (1 - v + Math.log(v))) {
        return Math.log(d) + Math.log(v);
      }
    }
  }
}
