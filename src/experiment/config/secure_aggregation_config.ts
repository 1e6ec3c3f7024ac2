import { z } from "zod";
import {
  type SecureAggregationInput,
  type SecureAggregationOptions,
  secureAggregationSchema,
} from "../../fl/mod.ts";

/** The choice of secure aggregation: `true` for its defaults, its options, or `false` for none. */
export const secureAggregationConfig = z.preprocess(
  (value) => value === true ? {} : value,
  z.union([z.literal(false, "expected true, false, or options"), secureAggregationSchema]),
) as unknown as z.ZodType<false | SecureAggregationOptions, boolean | SecureAggregationInput>;

/** The options of an entry of `methods`, or those of all. */
export function chooseSecureAggregation(
  own: false | SecureAggregationOptions | undefined,
  common: false | SecureAggregationOptions | undefined,
): SecureAggregationOptions | undefined {
  return (own ?? common) || undefined;
}
