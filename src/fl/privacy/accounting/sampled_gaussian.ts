/** Rounds of the Gaussian mechanism on a random sample of the clients. */
export interface SampledGaussian {
  /** q: the probability that a round asks a client (Poisson sampling), from 0 to 1. With 1 it is the plain Gaussian mechanism. */
  readonly samplingRate: number;
  /** z: the noise's standard deviation by the longest change that a client may make to the sum; 0 for no noise. */
  readonly noiseMultiplier: number;
  /** How many such rounds. */
  readonly rounds: number;
}

/**
 * The Rényi divergence of an order α that one round may show of a client (Mironov, Talwar and Zhang, arXiv 1908.10530). For a
 * whole α it is log(Σ_j C(α, j)·(1 − q)^(α − j)·q^j·exp((j² − j)/(2z²)))/(α − 1), j from 0 to α (their section 3.3); for another the
 * same moment as an integral (for z below 1/8 a bound on it); without sampling α/(2z²). Neighbours are federations with and without one client.
 *
 * @throws {RangeError} when the order isn't above 1, q is outside of [0, 1], or z is negative.
 *
 * @example
 * ```ts
 * renyiDivergence(32, { samplingRate: 0.01, noiseMultiplier: 1.1 });
 * ```
 */
export function renyiDivergence(
  order: number,
  { samplingRate: q, noiseMultiplier: z }: Omit<SampledGaussian, "rounds">,
): number {
  if (!(order > 1 && order < Infinity)) {
    throw new RangeError(`Cannot compute a Rényi divergence of order ${order}: expected a number above 1`);
  }
  if (!(q >= 0 && q <= 1)) {
    throw new RangeError(`Cannot account for the sampling rate ${q}: expected a number from 0 to 1`);
  }
  if (!(z >= 0)) {
    throw new RangeError(`Cannot account for the noise multiplier ${z}: expected 0 or more`);
  }
  if (q === 0) return 0;
  if (z === 0) return Infinity;
  if (q === 1) return order / (2 * z * z);
  return Math.max(0, logMoment(order, q, z) / (order - 1));
}

/** Noise multipliers below this one would take the integral too many steps. */
const LEAST_INTEGRATED = 1 / 8;

function logMoment(order: number, q: number, z: number): number {
  const below = Math.floor(order);
  if (order === below) return wholeMoment(order, q, z);
  if (z >= LEAST_INTEGRATED) return brokenMoment(order, q, z);
  // It is convex in the order (and 0 at 1), so it lies below the line between whole ones.
  const share = order - below;
  return (1 - share) * wholeMoment(below, q, z) + share * wholeMoment(below + 1, q, z);
}

function wholeMoment(order: number, q: number, z: number): number {
  let total = -Infinity;
  let logBinomial = 0;
  for (let j = 0; j <= order; j++) {
    total = logAdd(
      total,
      logBinomial + (order - j) * Math.log1p(-q) + j * Math.log(q) + (j * j - j) / (2 * z * z),
    );
    logBinomial += Math.log((order - j) / (j + 1));
  }
  return total;
}

/**
 * log E[(1 − q + q·exp((2x − 1)/(2z²)))^α] over x ~ N(0, z²), by the trapezoid rule. Its error falls exponentially with one by the
 * step: below 1e-30 here, as the density is z wide and the nearest branch point of the power is π·z² off the real axis.
 */
function brokenMoment(order: number, q: number, z: number): number {
  const step = Math.min(z, z * z) / 4;
  // All but exp(−72) of it lies within 12 z of 0 or of α.
  const [first, last] = [Math.floor(-12 * z / step), Math.ceil((order + 12 * z) / step)];
  let total = -Infinity;
  for (let i = first; i <= last; i++) {
    const x = i * step;
    const ratio = logAdd(Math.log1p(-q), Math.log(q) + (2 * x - 1) / (2 * z * z));
    total = logAdd(total, order * ratio - x * x / (2 * z * z));
  }
  return total + Math.log(step / (z * Math.sqrt(2 * Math.PI)));
}

/** log(eᵃ + eᵇ) */
function logAdd(a: number, b: number): number {
  const [most, least] = a > b ? [a, b] : [b, a];
  return least === -Infinity ? most : most + Math.log1p(Math.exp(least - most));
}
