import type { Scores } from "../../tasks/mod.ts";

/** A score's name as people write it: `macroF1` is macro-F1, `exactMatch` is exact match. */
export function scoreTitle(metric: string): string {
  return metric.replace(/F1$/, "-F1").replace(/^-/, "").replace(
    /([a-z])([A-Z])(?!1)/g,
    (_, end, start) => `${end} ${start.toLowerCase()}`,
  );
}

/** Scores with their names, to three decimals, two spaces before each. */
export function describeScores(scores: Scores): string {
  return Object.entries(scores).map(([metric, value]) => `  ${scoreTitle(metric)} ${value.toFixed(3)}`).join(
    "",
  );
}
