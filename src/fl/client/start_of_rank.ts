import { concat, mul, slice, type Tensor, tidy, zeros } from "../../engine/mod.ts";
import type { Client, Ranks } from "../method.ts";
import type { Tensors } from "../tensors.ts";

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
        if (name.endsWith(".loraA")) return [name, leading(value, 0, of(id), scale(id))];
        if (name.endsWith(".loraB")) return [name, leading(value, 1, of(id), scale(id))];
        return [name, value.detach()];
      }))
    );
}

function leading(x: Tensor, axis: 0 | 1, rank: number, scale: number): Tensor {
  const kept = mul(slice(x, { axis, start: 0, end: rank }), scale);
  const missing = x.shape.map((extent, i) => i === axis ? extent - rank : extent);
  return missing[axis] === 0 ? kept : concat([kept, zeros(x.gpu, missing)], { axis });
}
