import { z } from "zod";
import { defineRule } from "../define_rule.ts";
import { type Gathered, gathering } from "../gathering.ts";
import { attackersOf, attackersOption, fewerAttackers, withstanding } from "./_attackers.ts";
import { krumScores, lowest, squaredDistances } from "./_krum_scores.ts";
import { mapTensors, meanOf, weightedRows } from "./_rows.ts";

/**
 * Krum (Blanchard et al., arXiv 1703.02757): the upload with the lowest sum of squared distances to its n − f − 2 nearest others,
 * over all values together. It needs n ≥ 2f + 3. Of equal scores the lowest client number wins. One client's upload is all that a
 * round keeps, so where clients' data differ much of them is never learnt.
 */
export const krum = defineRule({
  name: "krum",
  summary: "the upload that is nearest to its neighbours",
  papers: ["1703.02757"],
  options: z.strictObject({ attackers: attackersOption }),
  create: ({ attackers }) => choosing("krum", { attackers, keep: () => 1 }),
});

/**
 * Multi-Krum (Blanchard et al., arXiv 1703.02757): the plain mean of the uploads with the lowest scores of Krum; n − f − 2 of them by
 * default, as many as are proven to do (El-Mhamdi et al., arXiv 1802.07927).
 */
export const multiKrum = defineRule({
  name: "multi-krum",
  summary: "the mean of the uploads that are nearest to their neighbours",
  papers: ["1703.02757"],
  options: z.strictObject({
    attackers: attackersOption,
    /** Uploads that are averaged, up to n − f; by default n − f − 2. */
    keep: z.int().min(1).max(1e6).optional(),
  }),
  create: ({ attackers, keep }) =>
    choosing("multi-krum", { attackers, keep: (count, f) => Math.min(keep ?? count - f - 2, count - f) }),
});

interface ChoosingOptions {
  readonly attackers: number | undefined;
  /** How many uploads are averaged, of so many. */
  keep(count: number, attackers: number): number;
}

function choosing(name: string, { attackers, keep }: ChoosingOptions) {
  return gathering({
    name,
    least: (cohort) => {
      const f = attackersOf(attackers, cohort);
      const otherwise = fewerAttackers(cohort, 2);
      return { count: 2 * f + 3, purpose: withstanding(f), ...(otherwise !== undefined && { otherwise }) };
    },
    async combine({ values, clients: { length }, cohort }: Gathered) {
      const f = attackersOf(attackers, cohort);
      const squares = await squaredDistances(values, length);
      const among = Array.from({ length }, (_, i) => i);
      const chosen = lowest(among, krumScores(squares, { among, attackers: f }), keep(length, f));
      const weights = meanOf(chosen, length);
      return mapTensors(values, (each) => weightedRows(each, weights));
    },
  });
}
