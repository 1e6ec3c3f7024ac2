import {
  type Gpu,
  randomKey,
  RandomStream,
  type Shape,
  sizeOf,
  type Tensor,
  tensor,
} from "../../engine/mod.ts";

/** What a draw of noise is for. */
export interface NoisePurpose {
  readonly seed: number;
  readonly round: number;
  /** What the noise is added to: a name, or a client's number and a name. */
  readonly path: readonly (number | string)[];
}

/** Draws standard normal numbers. */
export type NoiseSource = (size: number, purpose: NoisePurpose) => Float32Array;

/**
 * Noise that follows from the seed, the round and what it is for, so that a simulation can be repeated: Philox's uniform numbers of 53
 * bits by Box and Muller's method, in double precision. Who knows the seed can take the noise off again: it protects nobody
 * outside of a simulation; see {@linkcode secretNoise}.
 */
export const seededNoise: NoiseSource = (size, { seed, round, path }) => {
  const stream = new RandomStream(randomKey(seed, "privacy noise", round, ...path));
  return Float32Array.from({ length: size }, () => stream.normal());
};

/** Words of one call of `getRandomValues`, which gives at most 65536 bytes. */
const WORDS = 2 ** 14;

/**
 * Noise from the operating system's random numbers, for rounds with real clients: nobody can repeat it, the server neither. In floating
 * point, so it doesn't withstand an attacker who sees the lowest bits of what is released (Mironov, CCS 2012).
 */
export const secretNoise: NoiseSource = (size) => {
  const words = new Uint32Array(WORDS);
  let used = WORDS;
  /** Uniform in [0, 1), of 53 bits. */
  const uniform = () => {
    if (used === WORDS) {
      globalThis.crypto.getRandomValues(words);
      used = 0;
    }
    const high = words[used++]! >>> 5;
    return (high * 2 ** 26 + (words[used++]! >>> 6)) / 2 ** 53;
  };
  const normals = new Float32Array(size);
  for (let i = 0; i < size; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    normals[i] = radius * Math.cos(angle);
    if (i + 1 < size) normals[i + 1] = radius * Math.sin(angle);
  }
  return normals;
};

/** A tensor of noise with a standard deviation; of zeros in a rehearsal, which draws nothing. */
export function noiseTensor(
  gpu: Gpu,
  shape: Shape,
  { source, deviation, purpose }: {
    readonly source: NoiseSource;
    readonly deviation: number;
    readonly purpose: NoisePurpose;
  },
): Tensor {
  const size = sizeOf(shape);
  const normals = gpu.isRehearsing ? new Float32Array(size) : source(size, purpose);
  return tensor(gpu, normals.map((each) => each * deviation), { shape });
}
