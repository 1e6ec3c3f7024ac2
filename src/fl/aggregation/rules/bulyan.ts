import { z } from "zod";
import { meanNearMedian, sortColumns } from "../../../engine/mod.ts";
import { defineRule } from "../define_rule.ts";
import { gathering } from "../gathering.ts";
import { attackersOf, attackersOption, fewerAttackers, withstanding } from "./_attackers.ts";
import { krumScores, lowest, squaredDistances } from "./_krum_scores.ts";
import { mapTensors, rowsAt } from "./_rows.ts";

/**
 * Bulyan over Krum (El-Mhamdi et al., arXiv 1802.07927): Krum chooses n − 2f uploads one after the other, each among those that are left;
 * then each value is the mean of the n − 4f of these that are nearest to their median. It needs n ≥ 4f + 3. Near the end of the choice,
 * where Krum would count no neighbour, it counts one.
 */
export const bulyan = defineRule({
  name: "bulyan",
  summary:
    "of the uploads that Krum chooses one after the other, the mean of the values nearest to each median",
  papers: ["1802.07927"],
  options: z.strictObject({ attackers: attackersOption }),
  create: ({ attackers }) =>
    gathering({
      name: "bulyan",
      least: (cohort) => {
        const f = attackersOf(attackers, cohort);
        const otherwise = fewerAttackers(cohort, 4);
        return { count: 4 * f + 3, purpose: withstanding(f), ...(otherwise !== undefined && { otherwise }) };
      },
      async combine({ values, clients: { length }, cohort }) {
        const f = attackersOf(attackers, cohort);
        const squares = await squaredDistances(values, length);
        const chosen: number[] = [];
        let among = Array.from({ length }, (_, i) => i);
        while (chosen.length < length - 2 * f) {
          const [next] = lowest(among, krumScores(squares, { among, attackers: f }), 1);
          chosen.push(next!);
          among = among.filter((place) => place !== next);
        }
        // In the order of clients, so that equal values have one order.
        chosen.sort((a, b) => a - b);
        return mapTensors(
          values,
          (each) => meanNearMedian(sortColumns(rowsAt(each, chosen)), length - 4 * f),
        );
      },
    }),
});
