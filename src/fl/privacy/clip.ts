import { add, div, less, maximum, mul, tensor, where } from "../../engine/mod.ts";
import { memberNorms } from "../aggregation/member_norms.ts";
import { changesSince, perMember } from "../tensors.ts";
import type { Stage } from "./stage.ts";

/** Options of {@linkcode clipUpdates}. */
export interface ClipUpdatesOptions {
  /** The longest change that a client may send, over all it sends together. */
  readonly norm: number;
}

/**
 * Scales each client's change down to a norm (McMahan et al., arXiv 1710.06963): x + (y − x)·min(1, norm / ‖y − x‖₂), jointly over
 * all it sends. A change that is short enough keeps every bit.
 *
 * @throws {RangeError} when the norm isn't positive.
 *
 * @example
 * ```ts no-run
 * simulate(pretrained, { ...options, stages: [clipUpdates({ norm: 1 })] });
 * ```
 */
export function clipUpdates({ norm }: ClipUpdatesOptions): Stage {
  if (!(norm > 0 && Number.isFinite(norm))) {
    throw new RangeError(`Cannot clip updates to norm ${norm}: expected a positive number`);
  }
  return {
    name: `clip(${norm})`,
    client(values, { start }) {
      if (values.size === 0) return values;
      const changes = changesSince(start, values);
      const lengths = memberNorms(changes);
      const limit = tensor(lengths.gpu, [norm]);
      const isLong = less(limit, lengths);
      const factor = div(limit, maximum(lengths, limit));
      return new Map([...values].map(([name, y]) => {
        const [x, change] = [start.get(name), changes.get(name)!];
        const shorter = mul(change, perMember(factor, y));
        const then = x === undefined ? shorter : add(shorter, x);
        return [name, where(perMember(isLong, y), { then, otherwise: y })];
      }));
    },
  };
}
