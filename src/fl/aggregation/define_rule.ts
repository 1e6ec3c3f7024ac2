import type { z } from "zod";
import { parseOptions } from "../parse_options.ts";
import type { AggregatorFactory } from "./aggregator.ts";

/** What is said of a rule of aggregation, and how it is made. */
export interface AggregationRuleDefinition<Options extends z.ZodObject> {
  /** Names it in configurations. */
  readonly name: string;
  /** What the server makes of the uploads. */
  readonly summary: string;
  /** Where it comes from, as numbers of arXiv. */
  readonly papers: readonly string[];
  /** Its options, with their ranges and defaults. */
  readonly options: Options;
  /** The rule of checked options. */
  create(options: z.output<Options>): AggregatorFactory;
}

/** Makes a rule of its options, and says what it is. */
export interface AggregationRule<Options extends z.ZodObject = z.ZodObject> {
  /** @throws {RangeError} naming every option that is out of range or unknown. */
  (options?: z.input<Options>): AggregatorFactory;
  readonly definition: AggregationRuleDefinition<Options>;
}

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
  const { name, options: schema, create } = definition;
  const rule = (options?: z.input<Options>) => create(parseOptions(schema, options, `aggregate by ${name}`));
  return Object.assign(rule, { definition });
}
