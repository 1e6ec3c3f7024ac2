import { type Tensor, tensor } from "../../../../engine/mod.ts";
import { termAxis } from "../../../client/ranks.ts";
import type { Tensors } from "../../../tensors.ts";

/** A factor of a low-rank update, and its axis that has the terms, from the end. */
export interface Factor {
  readonly name: string;
  readonly value: Tensor;
  readonly axis: -2 | -1;
}

/** The factors A and B among tensors. */
export function factorsOf(tensors: Tensors): Factor[] {
  return [...tensors].flatMap(([name, value]): Factor[] => {
    const axis = termAxis(name);
    return axis === undefined ? [] : [{ name, value, axis }];
  });
}

/** Ones at the terms of each client from one to another, [C, r, 1] for A and [C, 1, r] for B. */
export function termMask(
  { value, axis }: Pick<Factor, "value" | "axis">,
  ranges: readonly (readonly [start: number, end: number])[],
): Tensor {
  const rank = value.shape.at(axis)!;
  const mask = new Float32Array(ranges.length * rank);
  ranges.forEach(([start, end], member) => mask.fill(1, member * rank + start, member * rank + end));
  return tensor(value.gpu, mask, {
    shape: axis === -2 ? [ranges.length, rank, 1] : [ranges.length, 1, rank],
  });
}
