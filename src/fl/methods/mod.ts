import * as all from "./all.ts";
import { byName } from "../factory.ts";
import type { MethodFactory } from "./define_method.ts";

export { defineMethod, type MethodDefinition, type MethodFactory } from "./define_method.ts";
export { type Averaged, averaging, type AveragingOptions } from "./parts/averaging/averaging.ts";
export * from "./all.ts";

/** Every method by name, in the order of their papers; the baselines, which have none, are last. */
export const methods: ReadonlyMap<string, MethodFactory> = byName(
  Object.values(all).sort((one, other) => placeOf(one) < placeOf(other) ? -1 : 1),
);

function placeOf({ definition: { name, papers = ["none"] } }: Pick<MethodFactory, "definition">): string {
  // A gap, so that what adds to a paper comes after it.
  return [...papers, "", name].join(" ");
}
