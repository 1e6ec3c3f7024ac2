import { z } from "zod";
import { defineRule } from "../define_rule.ts";
import { gathering } from "../gathering.ts";
import { mapTensors, medianOf } from "./_rows.ts";

/**
 * The coordinate-wise median (Yin et al., arXiv 1803.01498): each value is the middle one of those that were uploaded, or where
 * their number is even the mean of the middle two. Every client counts the same, as the number of examples is the client's own
 * word.
 */
export const median = defineRule({
  name: "median",
  summary: "the median of each value",
  papers: ["1803.01498"],
  options: z.strictObject({}),
  create: () =>
    gathering({
      name: "median",
      least: () => ({ count: 3, purpose: "to outvote one" }),
      combine: ({ values }) => mapTensors(values, medianOf),
    }),
});
