import { meanOf } from "./sample.ts";

/** One effect of a crossed design: a factor, or an interaction of several. */
export interface Effect {
  /** Names of the factors that interact; one for a main effect. */
  readonly factors: readonly string[];
  readonly degreesOfFreedom: number;
  readonly meanSquare: number;
  /**
   * The estimated variance of a single value that is due to the effect; never negative. For a fixed factor, such as
   * the methods of a comparison, it is Σα²/(levels − 1) of its effects α.
   */
  readonly variance: number;
  /** Its share of the sum of all variances; null if nothing varies. */
  readonly share: number | null;
}

/**
 * Splits the variance of a complete crossed design with one value in each cell. The effects are orthogonal because the design is
 * balanced, and variance components follow from expected mean squares,
 *
 * σ²(T) = Σ_{U ⊇ T} (−1)^{|U| − |T|} MS(U) / Π_{f ∉ T} levels(f),
 *
 * for sets T and U of factors, with estimates below zero set to zero (Cornfield and Tukey, "Average values of mean squares in
 * factorials", 1956; Brennan, "Generalizability theory", 2001, section 3.4). As each cell has one value, the last
 * interaction includes all remaining variation. Factors with one level have no effect and are left out.
 *
 * @param values row-major over the factors, in their order.
 * @param factors the number of levels of each factor, by its name.
 * @throws {RangeError} when there aren't as many values as cells.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * // Two methods on two draws: the draw moves a score by 0.2, the method by 0.02.
 * const effects = crossedEffects([0.7, 0.9, 0.72, 0.92], { method: 2, draw: 2 });
 * assert.deepEqual(effects.map(({ share }) => share!.toFixed(2)), ["0.01", "0.99", "0.00"]);
 * ```
 */
export function crossedEffects(
  values: readonly number[],
  factors: Readonly<Record<string, number>>,
): Effect[] {
  const cells = Object.values(factors).reduce((product, levels) => product * levels, 1);
  if (values.length !== cells) {
    throw new RangeError(
      `Cannot analyse variance: expected a value for each of ${cells} cells, got ${values.length}`,
    );
  }
  const varying = Object.entries(factors).filter(([, count]) => count > 1).map(([name, count]) => ({
    name,
    count,
  }));
  const place = coordinates(values.length, varying.map(({ count }) => count));
  const sets = subsetsOf(varying.length);
  const effects = new Map<Factors, number[]>();
  for (const set of sets) {
    const means = marginalMeans(values, (cell) => set.map((factor) => place[cell]![factor]).join());
    const inner = sets.filter((other) => other !== set && isWithin(other, set)).map((other) =>
      effects.get(other)!
    );
    effects.set(set, means.map((mean, cell) => inner.reduce((rest, effect) => rest - effect[cell]!, mean)));
  }
  const found = sets.filter((set) => set.length > 0).map((set) => {
    const degreesOfFreedom = set.reduce((product, factor) => product * (varying[factor]!.count - 1), 1);
    const sumOfSquares = effects.get(set)!.reduce((sum, effect) => sum + effect ** 2, 0);
    return { set, degreesOfFreedom, meanSquare: sumOfSquares / degreesOfFreedom };
  });
  const variances = found.map(({ set }) => {
    const others = varying.reduce(
      (product, { count }, factor) => set.includes(factor) ? product : product * count,
      1,
    );
    const signed = found.filter((other) => isWithin(set, other.set))
      .reduce((sum, { set: { length }, meanSquare }) => sum + (-1) ** (length - set.length) * meanSquare, 0);
    return Math.max(0, signed / others);
  });
  const total = variances.reduce((sum, variance) => sum + variance, 0);
  return found.map(({ set, ...effect }, i) => ({
    factors: set.map((factor) => varying[factor]!.name),
    ...effect,
    variance: variances[i]!,
    share: total > 0 ? variances[i]! / total : null,
  }));
}

/** Indices of some factors, ascending. */
type Factors = readonly number[];

/** All sets of the first few factors, smaller ones first. */
function subsetsOf(count: number): Factors[] {
  const sets = Array.from(
    { length: 2 ** count },
    (_, bits) => Array.from({ length: count }, (_, factor) => factor).filter((factor) => bits >> factor & 1),
  );
  return sets.sort((a, b) => a.length - b.length);
}

function isWithin(inner: Factors, outer: Factors): boolean {
  return inner.every((factor) => outer.includes(factor));
}

/** The level of each factor, by cell. */
function coordinates(cells: number, counts: readonly number[]): number[][] {
  return Array.from({ length: cells }, (_, cell) => {
    let rest = cell;
    return counts.toReversed().map((count) => {
      const level = rest % count;
      rest = (rest - level) / count;
      return level;
    }).reverse();
  });
}

/** The mean of the values with the same key, for each value. */
function marginalMeans(values: readonly number[], keyOf: (cell: number) => string): number[] {
  const groups = new Map<string, number[]>();
  values.forEach((value, cell) => {
    const key = keyOf(cell);
    const group = groups.get(key);
    if (group) group.push(value);
    else groups.set(key, [value]);
  });
  const means = new Map([...groups].map(([key, group]) => [key, meanOf(group)]));
  return values.map((_, cell) => means.get(keyOf(cell))!);
}
