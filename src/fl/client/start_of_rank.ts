import { concat, mul, slice, type Tensor, tidy, zeros } from "../../engine/mod.ts";
import type { Client, Ranks } from "../method.ts";
import type { Tensors } from "../tensors.ts";
import { termAxis } from "./ranks.ts";

/**
 * Where a client of its own rank starts: with the leading rows of A and columns of B, and zeros beyond.
 *
 * @param scale what each factor is multiplied by for a client; 1 by default.
 */
export function leadingRank(
  global: Tensors,
  { of }: Ranks,
  scale: (client: number) => number = () => 1,
): (client: Client) => Tensors {
  return ({ id }) =>
    tidy(() =>
      new Map([...global].map(([name, value]) => {
        const axis = termAxis(name);
        if (axis === undefined) return [name, value.detach()];
        return [name, leading(value, { axis, rank: of(id), scale: scale(id) })];
      }))
    );
}

/** The leading terms of a factor times a scale, and zeros beyond. */
function leading(
  x: Tensor,
  { axis, rank, scale }: { readonly axis: -2 | -1; readonly rank: number; readonly scale: number },
): Tensor {
  const kept = mul(slice(x, { axis, start: 0, end: rank }), scale);
  const missing = x.shape.at(axis)! - rank;
  return missing === 0 ? kept : concat([kept, zeros(x.gpu, x.shape.with(axis, missing))], { axis });
}
