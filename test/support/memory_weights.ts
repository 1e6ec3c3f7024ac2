import type { HostParameters, StoredTensor, WeightSource } from "../../src/models/mod.ts";

/** Tensors in memory as if they were in a file, and the names that were read, in order. */
export interface MemoryWeights extends WeightSource {
  readonly reads: string[];
}

/** A weight source of tensors in memory. */
export function memoryWeights(tensors: ReadonlyMap<string, StoredTensor>): MemoryWeights {
  const reads: string[] = [];
  return {
    reads,
    entries: new Map([...tensors].map(([name, { dtype, shape }]) => [name, { dtype, shape }])),
    read(name) {
      reads.push(name);
      const found = tensors.get(name);
      return found
        ? Promise.resolve(found)
        : Promise.reject(new RangeError(`Cannot read ${name}: not there`));
    },
    close: () => Promise.resolve(),
  };
}

/** Parameters as a file stores them, under other names. */
export function stored(
  parameters: HostParameters,
  rename: (name: string) => string = (name) => name,
): Map<string, StoredTensor> {
  return new Map(
    [...parameters].map(([name, { shape, data }]) => [rename(name), { dtype: "F32", shape, data }]),
  );
}
