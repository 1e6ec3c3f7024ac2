/** A comparison of a result with another, and how far they may lie apart. */
export interface Check {
  readonly what: string;
  readonly found: number;
  readonly allowed: number;
}

/** What one row of a stage measured. */
export interface GpuRow {
  readonly name: string;
  /** Median milliseconds of one call by contender, federa first. */
  readonly milliseconds: Readonly<Record<string, number>>;
  /** Samples of each. */
  readonly samples: Readonly<Record<string, number>>;
  /** Floating-point operations of a call. */
  readonly flops?: number | undefined;
  /** Bytes that a call has to move at least. */
  readonly bytes?: number | undefined;
  /** Share of the adapter's multiply-adds or copies that each contender reaches, by contender. */
  readonly shares?: Readonly<Record<string, number>>;
  readonly checks?: readonly Check[];
  readonly notes?: readonly string[];
  /** Anything else worth keeping in the JSON. */
  readonly figures?: unknown;
}

/** The checks that don't hold; a NaN holds none. */
export function wrongChecks({ checks = [] }: GpuRow): readonly Check[] {
  return checks.filter(({ found, allowed }) => !(found <= allowed));
}

/** ‖x − y‖ / ‖y‖, or ‖x‖ where y is zero. */
export function relativeDifference(x: ArrayLike<number>, y: ArrayLike<number>): number {
  if (x.length !== y.length) return Infinity;
  let [difference, norm] = [0, 0];
  for (let i = 0; i < y.length; i++) {
    difference += (x[i]! - y[i]!) ** 2;
    norm += y[i]! ** 2;
  }
  return Math.sqrt(difference) / (Math.sqrt(norm) || 1);
}
