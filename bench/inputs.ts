import {
  type Gpu,
  randomKey,
  RandomStream,
  type Shape,
  sizeOf,
  type Tensor,
  tensor,
} from "../src/engine/mod.ts";

/** Normal numbers that depend on the shape alone. */
export function randomTensor(gpu: Gpu, shape: Shape, scale = 1): Tensor {
  return tensor(gpu, randomValues(shape, scale), { shape });
}

/** As {@linkcode randomTensor}, on the host. */
export function randomValues(shape: Shape, scale = 1): Float32Array {
  const stream = new RandomStream(randomKey(0, "bench", ...shape));
  return Float32Array.from(
    { length: sizeOf(shape) },
    () => scale * stream.normal(),
  );
}
