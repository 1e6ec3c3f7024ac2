import type { z } from "zod";
import { type Definition, type Factory, factoryOf } from "../factory.ts";
import type { AggregatorFactory } from "./aggregator.ts";

/** What is said of a rule of aggregation, and how it is made. */
export interface AggregationRuleDefinition<Options extends z.ZodObject>
  extends Definition<Options, AggregatorFactory> {
  /** What the server makes of the uploads. */
  readonly summary: string;
  readonly papers: readonly string[];
}

/** Makes a rule of its options, and says what it is. */
export type AggregationRule<Options extends z.ZodObject = z.ZodObject> = Factory<
  Options,
  AggregatorFactory,
  AggregationRuleDefinition<Options>
>;

/**
 * A rule by which the server combines uploads.
 *
 * @example
 * ```ts no-run
 * simulate(pretrained, { ...options, aggregator: krum({ attackers: 2 }) });
 * ```
 */
export function defineRule<Options extends z.ZodObject>(
  definition: AggregationRuleDefinition<Options>,
): AggregationRule<Options> {
  return factoryOf(definition, `aggregate by ${definition.name}`);
}
