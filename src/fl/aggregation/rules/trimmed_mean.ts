import { z } from "zod";
import { sortColumns } from "../../../engine/mod.ts";
import { defineRule } from "../define_rule.ts";
import { gathering } from "../gathering.ts";
import { mapTensors, meanOfRows } from "./_rows.ts";

/**
 * The coordinate-wise trimmed mean (Yin et al., arXiv 1803.01498): of the n uploads' values the ⌊β·n⌋ smallest and as many of the
 * largest are left out, each value for itself, and the others averaged. Every client counts the same.
 */
export const trimmedMean = defineRule({
  name: "trimmed-mean",
  summary: "the mean of each value without its smallest and largest ones",
  papers: ["1803.01498"],
  options: z.strictObject({
    /** β: the share of the uploads that is left out on each side; as many attackers are withstood. */
    share: z.number().gt(0).lt(0.5).default(0.2),
  }),
  create: ({ share }) =>
    gathering({
      name: "trimmed-mean",
      least: () => ({
        count: Math.ceil(1 / share - 1e-9),
        purpose: `to leave out a share of ${share} on each side`,
        otherwise: "raise share",
      }),
      combine: ({ values, clients: { length } }) => {
        const left = trimmed(length, share);
        return mapTensors(values, (each) => meanOfRows(sortColumns(each), left, length - left));
      },
    }),
});

/** ⌊β·n⌋, where 0.29·100 is 29 too. */
function trimmed(count: number, share: number): number {
  return Math.floor(share * count + 1e-9);
}
