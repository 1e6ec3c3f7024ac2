import type { HostTensors } from "../../src/fl/mod.ts";
import { readSafetensors } from "../../src/models/mod.ts";

/** The tensors of a safetensors file, which are all of float32. */
export function decodeHostTensors(bytes: Uint8Array): HostTensors {
  return new Map(
    [...readSafetensors(bytes).tensors].map(([name, { shape, data }]) => {
      if (!(data instanceof Float32Array)) throw new TypeError(`Cannot compare ${name}: it isn't float32`);
      return [name, { shape, data }];
    }),
  );
}
