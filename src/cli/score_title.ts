/** A score's name as people write it: `macroF1` is macro-F1, `exactMatch` is exact match. */
export function scoreTitle(metric: string): string {
  return metric.replace(/F1$/, "-F1").replace(/^-/, "").replace(
    /([a-z])([A-Z])(?!1)/g,
    (_, end, start) => `${end} ${start.toLowerCase()}`,
  );
}
