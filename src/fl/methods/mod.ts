import * as all from "./all.ts";
import type { MethodFactory } from "./define_method.ts";

export { defineMethod, type MethodDefinition, type MethodFactory } from "./define_method.ts";
export { type Averaged, averaging, type AveragingOptions } from "./parts/averaging.ts";
export * from "./all.ts";

/** Every method by name, in the order of their papers; the baselines, which have none, are last. */
export const methods: ReadonlyMap<string, MethodFactory> = new Map(
  Object.values(all)
    .map((factory) => factory as unknown as MethodFactory)
    .sort((one, other) => placeOf(one) < placeOf(other) ? -1 : 1)
    .map((factory) => [factory.definition.name, factory]),
);

function placeOf({ definition: { name, papers = ["none"] } }: MethodFactory): string {
  // A gap, so that what adds to a paper comes after it.
  return [...papers, "", name].join(" ");
}
