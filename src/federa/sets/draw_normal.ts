import { type Gpu, randomKey, RandomStream, type Tensor, tensor } from "../../engine/mod.ts";

/** Options of {@linkcode drawNormal}. */
export interface DrawNormalOptions {
  readonly shape: readonly number[];
  /** Keys of the draw: seed, purpose, name. */
  readonly keys: readonly [seed: number, ...names: string[]];
}

/** Standard deviation of new vectors, as encoders draw embeddings. */
const deviation = 0.02;

/** Normal numbers of mean 0 and deviation 0.02. */
export function drawNormal(gpu: Gpu, { shape, keys: [seed, ...names] }: DrawNormalOptions): Tensor {
  const stream = new RandomStream(randomKey(seed, ...names));
  const size = shape.reduce((product, extent) => product * extent, 1);
  return tensor(gpu, Float32Array.from({ length: size }, () => deviation * stream.normal()), { shape });
}
