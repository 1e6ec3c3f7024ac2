import { sameShape, type Shape, sizeOf } from "../../engine/mod.ts";
import type { HostTensor } from "../tensors.ts";

/**
 * A host tensor in another shape of as many axes: what is missing at the ends of axes is zero, what is beyond is cut. So a client of
 * a lower rank and the server, whose factors have the largest rank, get what fits them.
 */
export function fitTo(shape: Shape, value: HostTensor): HostTensor {
  if (sameShape(value.shape, shape)) return value;
  if (value.shape.length !== shape.length) {
    throw new TypeError(`Cannot fit a tensor [${value.shape.join(", ")}] to [${shape.join(", ")}]`);
  }
  const data = new Float32Array(sizeOf(shape));
  const walk = (axis: number, from: number, to: number, steps: readonly [number, number][]): void => {
    const [source, target] = steps[axis]!;
    const common = Math.min(value.shape[axis]!, shape[axis]!);
    if (axis === shape.length - 1) {
      data.set(value.data.subarray(from, from + common), to);
      return;
    }
    for (let i = 0; i < common; i++) walk(axis + 1, from + i * source, to + i * target, steps);
  };
  const stride = (of: Shape, axis: number) => sizeOf(of.slice(axis + 1));
  walk(0, 0, 0, shape.map((_, axis) => [stride(value.shape, axis), stride(shape, axis)]));
  return { shape, data };
}
