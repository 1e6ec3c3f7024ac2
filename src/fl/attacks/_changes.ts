import { add, sub, type Tensor } from "../../engine/mod.ts";
import type { Tensors } from "../tensors.ts";

/** Uploads whose changes since the start are others; where there is no start, the values themselves. */
export function withChanges(
  uploads: Tensors,
  start: Tensors,
  change: (change: Tensor, name: string) => Tensor,
): Map<string, Tensor> {
  return new Map([...uploads].map(([name, y]) => {
    const x = start.get(name);
    return [name, x === undefined ? change(y, name) : add(change(sub(y, x), name), x)];
  }));
}
