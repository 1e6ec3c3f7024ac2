import type { PartitionSummary } from "./summarize_partition.ts";

/** Lines that say how uneven a partition is, and what nobody holds. */
export function describeSkew(
  { skew, clients, noun, classes, numExamples, numLeftOut }: PartitionSummary,
): string[] {
  const { sizes, totalVariation, effectiveClasses } = skew;
  const count = (value: number) => value.toLocaleString("en");
  const share = (value: number) => value.toFixed(2);
  const held = numExamples - numLeftOut;
  return [
    `${count(clients.length)} ${clients.length === 1 ? "client holds" : "clients hold"} ${
      count(held)
    } examples: ` +
    `${count(sizes.min)} to ${count(sizes.max)} each, median ${count(sizes.median)}`,
    ...numLeftOut > 0 ? [`${count(numLeftOut)} of ${count(numExamples)} examples are left out`] : [],
    ...totalVariation && effectiveClasses
      ? [
        `Distance of label shares from those of all (total variation): mean ${
          share(totalVariation.mean)
        }, largest ${share(totalVariation.max)}`,
        `Effective number of ${noun?.many} (e to the entropy) of ${count(classes.length)}: mean ${
          share(effectiveClasses.mean)
        }, from ${share(effectiveClasses.min)} to ${share(effectiveClasses.max)}`,
      ]
      : [],
  ];
}
