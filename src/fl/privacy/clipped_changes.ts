import { div, maximum, mul, type Tensor } from "../../engine/mod.ts";
import { type RoundPlan, sharedNames } from "../method.ts";
import { changesSince, perMember, pick, type Shapes, shapesOf, type Tensors } from "../tensors.ts";
import { memberNorms } from "../aggregation/member_norms.ts";

/**
 * Clients clip to this share of the norm: a sum of squares in f32 may be off by the rest, and no change may be longer than what the
 * noise is made for.
 */
export const SAFE_SHARE = 1 - 2 ** -12;

/** Changes y − x of clients, none longer than a norm. */
export interface ClippedChanges {
  /** [C, ...] by name; y of what has no start. */
  readonly changes: Tensors;
  /** ‖y − x‖ of each before, f32 [C]. */
  readonly lengths: Tensor;
  /** What they were clipped to, f32 [1]. */
  readonly limit: Tensor;
}

/** Clips clients' changes jointly: (y − x)·min(1, limit/‖y − x‖), with a limit a little below the norm, f32 [1]. */
export function clippedChanges(values: Tensors, start: Tensors, norm: Tensor): ClippedChanges {
  const changes = changesSince(start, values);
  const limit = mul(norm, SAFE_SHARE);
  const lengths = memberNorms(changes);
  const factor = div(limit, maximum(lengths, limit));
  const shorter = [...changes].map(([name, change]) =>
    [name, mul(change, perMember(factor, change))] as const
  );
  return { changes: new Map(shorter), lengths, limit };
}

/**
 * Names and shapes of what clients of a plan send, without the client axis.
 *
 * @throws {TypeError} when they send nothing.
 */
export function sentShapes(
  name: string,
  plan: RoundPlan,
  parameters: Tensors,
): Shapes {
  const shapes = plan.local?.sends ?? shapesOf(pick(parameters, sharedNames(plan)));
  if (shapes.size > 0) return shapes;
  throw new TypeError(
    `Cannot run ${name}: its clients send nothing, so there is nothing to protect; leave privacy out`,
  );
}

/**
 * Makes sure that all that was to come has come, and nothing else: what isn't known of could be sent without noise.
 *
 * @throws {TypeError} naming what is missing or unknown.
 */
export function checkSent(name: string, got: Tensors, expected: Iterable<string>): void {
  const wanted = new Set(expected);
  const missing = [...wanted].find((each) => !got.has(each));
  const unknown = [...got.keys()].find((each) => !wanted.has(each));
  if (missing === undefined && unknown === undefined) return;
  throw new TypeError(
    `Cannot protect what clients of ${name} send: ` +
      (unknown === undefined
        ? `${missing} is missing`
        : `${unknown} is unknown; its method's local rule must say what it sends`),
  );
}
