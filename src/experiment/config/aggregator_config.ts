import { z } from "zod";
import { aggregationRules, type AggregatorFactory } from "../../fl/mod.ts";

/** A rule's name with its options. */
export interface AggregatorConfig {
  readonly name: string;
  readonly [option: string]: unknown;
}

/** The choice of how the server combines uploads: `"krum"`, or `{ "name": "krum", "attackers": 2 }`. */
export const aggregatorConfig = z.preprocess(
  (value) => typeof value === "string" ? { name: value } : value,
  z.discriminatedUnion(
    "name",
    [...aggregationRules.values()].map(({ definition: { name, options } }) =>
      options.extend({ name: z.literal(name) })
    ) as unknown as [z.ZodObject<{ name: z.ZodLiteral<string> }>],
  ),
) as unknown as z.ZodType<AggregatorConfig, string | AggregatorConfig>;

/** The rule that was chosen; undefined for the mean, which each method takes as it needs it. */
export function createAggregator(
  { name, ...options }: AggregatorConfig = { name: "mean" },
): AggregatorFactory | undefined {
  return name === "mean" ? undefined : aggregationRules.get(name)!(options);
}
