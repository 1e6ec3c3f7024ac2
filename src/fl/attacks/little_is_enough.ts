import { z } from "zod";
import { broadcastTo, mean, mul, sqrt, square, sub } from "../../engine/mod.ts";
import { withChanges } from "./_changes.ts";
import { defineAttack } from "./define_attack.ts";

/**
 * A little is enough (Baruch et al., arXiv 1902.06156): all attackers send μ − z·σ of the changes, value by value: so near to the others
 * that rules by distance take it for one of them. μ and σ are those of the attackers' own honest changes, as in the paper, so two
 * of them must be in a round for it to be an attack. By default z is the paper's: with n clients of which m attack, the largest at
 * which s = ⌊n/2 + 1⌋ − m others are expected to be farther away, Φ(z) = (n − m − s)/(n − m).
 */
export const littleIsEnough = defineAttack({
  name: "a-little-is-enough",
  summary: "all send the mean of their changes, `z` deviations beside it in every value",
  papers: ["1902.06156"],
  options: z.strictObject({ z: z.number().gt(0).max(1e6).optional() }),
  create: ({ z }) => ({
    upload: (honest, { start, clients, cohort }) => {
      const shift = z ?? largestShift(cohort, clients.length);
      return withChanges(honest, start, (changes) => {
        const middle = mean(changes, { axes: [0], keepDims: true });
        const deviation = sqrt(mean(square(sub(changes, middle)), { axes: [0], keepDims: true }));
        return broadcastTo(sub(middle, mul(deviation, shift)), changes.shape);
      });
    },
  }),
});

/** z of the paper: at least 0, and at most 5 where the attackers are the majority. */
export function largestShift(cohort: number, attackers: number): number {
  const honest = cohort - attackers;
  const needed = Math.floor(cohort / 2 + 1) - attackers;
  const share = honest > 0 ? (honest - needed) / honest : 1;
  let [low, high] = [0, 5];
  if (share <= 0.5) return 0;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (normalShare(middle) < share) low = middle;
    else high = middle;
  }
  return low;
}

/** Φ(z) for z ≥ 0, to 1e-7 (Abramowitz and Stegun, 26.2.17). */
function normalShare(z: number): number {
  const t = 1 / (1 + 0.2316419 * z);
  const tail = [1.330274429, -1.821255978, 1.781477937, -0.356563782, 0.319381530].reduce(
    (sum, each) => (sum + each) * t,
    0,
  );
  return 1 - tail * Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI);
}
