import { z } from "zod";
import { byName } from "../../factory.ts";
import { type AggregationRule, defineRule } from "../define_rule.ts";
import { meanAggregator } from "../mean.ts";
import { bulyan } from "./bulyan.ts";
import { geometricMedian } from "./geometric_median.ts";
import { krum, multiKrum } from "./krum.ts";
import { median } from "./median.ts";
import { normBounding } from "./norm_bounding.ts";
import { trimmedMean } from "./trimmed_mean.ts";

export { bulyan, geometricMedian, krum, median, multiKrum, normBounding, trimmedMean };

/** The mean by examples, which withstands nobody: one client can move it anywhere. */
const weightedMean = defineRule({
  name: "mean",
  summary: "the mean by examples; one hostile client can move it anywhere",
  papers: ["1602.05629"],
  options: z.strictObject({}),
  create: () => meanAggregator,
});

const all = [
  weightedMean,
  median,
  trimmedMean,
  krum,
  multiKrum,
  bulyan,
  geometricMedian,
  normBounding,
] as const;

/** Every rule of aggregation by name. */
export const aggregationRules: ReadonlyMap<string, AggregationRule> = byName(all);
