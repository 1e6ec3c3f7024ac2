import { renyiDivergence, type SampledGaussian } from "./sampled_gaussian.ts";

/** How Rényi divergences become (ε, δ). */
export type PrivacyConversion = "improved" | "classic";

/** Options of {@linkcode privacySpent}. */
export interface PrivacySpentOptions {
  /** δ: what ε may fail by; far below one by the number of clients. */
  readonly delta: number;
  /** Orders to take the least ε of; {@linkcode defaultOrders} by default. */
  readonly orders?: readonly number[];
  /** `"improved"` by default. */
  readonly conversion?: PrivacyConversion;
}

/** What a client's privacy has cost. */
export interface PrivacySpent {
  readonly epsilon: number;
  /** The order that gave it. */
  readonly order: number;
}

const range = (from: number, to: number, step = 1): number[] =>
  Array.from({ length: Math.floor((to - from) / step + 1.5) }, (_, i) => from + i * step);

/** Orders that an ε is looked for at: tenths up to 11, whole numbers up to 256, and some larger ones for tiny ε. */
export const defaultOrders: readonly number[] = [
  ...range(11, 109).map((tenths) => tenths / 10),
  ...range(11, 256),
  ...range(320, 1024, 64),
];

/**
 * ε at δ of rounds that follow each other: their divergences add up at each order, and the least ε of all orders holds.
 * `"improved"` is RDP + log((α − 1)/α) − (log δ + log α)/(α − 1) (Canonne, Kamath and Steinke, arXiv 2004.00010, proposition 12), `"classic"`
 * RDP + log(1/δ)/(α − 1) (Mironov, arXiv 1702.07476, proposition 3). Of no rounds ε is 0, and without noise infinite.
 *
 * @throws {RangeError} when δ isn't between 0 and 1, or rounds are no whole number.
 *
 * @example
 * ```ts
 * privacySpent([{ samplingRate: 0.01, noiseMultiplier: 1.1, rounds: 1000 }], { delta: 1e-5 }).epsilon.toFixed(2); // "1.71"
 * ```
 */
export function privacySpent(
  mechanisms: readonly SampledGaussian[],
  { delta, orders = defaultOrders, conversion = "improved" }: PrivacySpentOptions,
): PrivacySpent {
  if (!(delta > 0 && delta < 1)) {
    throw new RangeError(`Cannot account for privacy at δ ${delta}: expected a number between 0 and 1`);
  }
  for (const { rounds } of mechanisms) {
    if (!(Number.isSafeInteger(rounds) && rounds >= 0)) {
      throw new RangeError(`Cannot account for ${rounds} rounds: expected a whole number, 0 or more`);
    }
  }
  const used = mechanisms.filter(({ rounds, samplingRate }) => rounds > 0 && samplingRate > 0);
  if (used.length === 0) return { epsilon: 0, order: Infinity };
  let best: PrivacySpent = { epsilon: Infinity, order: orders[0] ?? NaN };
  for (const order of orders) {
    const divergence = used.reduce((sum, each) => sum + each.rounds * renyiDivergence(order, each), 0);
    const epsilon = Math.max(
      0,
      divergence +
        (conversion === "classic"
          ? -Math.log(delta) / (order - 1)
          : Math.log1p(-1 / order) - (Math.log(delta) + Math.log(order)) / (order - 1)),
    );
    if (epsilon < best.epsilon) best = { epsilon, order };
  }
  return best;
}
