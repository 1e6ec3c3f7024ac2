import type { Shape, Tensor } from "../engine/mod.ts";

/** Tensors by name. */
export type Tensors = ReadonlyMap<string, Tensor>;
/** Shapes by name. */
export type Shapes = ReadonlyMap<string, Shape>;

/** A tensor on the host, row-major. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}
/** Host tensors by name. */
export type HostTensors = ReadonlyMap<string, HostTensor>;

/** The shape of each tensor. */
export function shapesOf(tensors: ReadonlyMap<string, { readonly shape: Shape }>): Map<string, Shape> {
  return new Map([...tensors].map(([name, { shape }]) => [name, shape]));
}
