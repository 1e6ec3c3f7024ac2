/** Vectors of clients, in float64. */
export type Rows = readonly (readonly number[])[];

const columns = (rows: Rows): number[][] => rows[0]!.map((_, j) => rows.map((row) => row[j]!));
const ascending = (values: readonly number[]) => [...values].sort((a, b) => a - b);
const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** ‖a − b‖₂. */
export function distance(a: readonly number[], b: readonly number[]): number {
  return Math.hypot(...a.map((value, i) => value - b[i]!));
}

/** The median of some numbers. */
export function medianOf(values: readonly number[]): number {
  const sorted = ascending(values);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

/** The coordinate-wise median. */
export function median(rows: Rows): number[] {
  return columns(rows).map(medianOf);
}

/** The coordinate-wise mean without the k smallest and largest. */
export function trimmedMean(rows: Rows, k: number): number[] {
  return columns(rows).map((column) => meanOf(ascending(column).slice(k, column.length - k)));
}

/** Krum's score of each of some rows, against each other. */
export function krumScores(rows: Rows, f: number): number[] {
  const neighbours = Math.max(1, rows.length - f - 2);
  return rows.map((row, i) =>
    ascending(rows.flatMap((other, j) => j === i ? [] : distance(row, other) ** 2)).slice(0, neighbours)
      .reduce((sum, square) => sum + square, 0)
  );
}

/** The mean of the `keep` rows of the lowest scores. */
export function multiKrum(rows: Rows, f: number, keep: number): number[] {
  const scores = krumScores(rows, f);
  const order = rows.map((_, i) => i).sort((a, b) => scores[a]! - scores[b]! || a - b).slice(0, keep);
  return columns(order.map((i) => rows[i]!)).map(meanOf);
}

/** Bulyan over Krum. */
export function bulyan(rows: Rows, f: number): number[] {
  const left = [...rows];
  const chosen: (readonly number[])[] = [];
  while (chosen.length < rows.length - 2 * f) {
    const scores = krumScores(left, f);
    chosen.push(...left.splice(scores.indexOf(Math.min(...scores)), 1));
  }
  return columns(chosen).map((column) => {
    const middle = medianOf(column);
    const nearest = [...column].sort((a, b) => Math.abs(a - middle) - Math.abs(b - middle) || a - b);
    return meanOf(nearest.slice(0, rows.length - 4 * f));
  });
}

/** Σ α_k·‖row_k − z‖. */
export function sumOfDistances(rows: Rows, z: readonly number[], alpha: readonly number[]): number {
  return rows.reduce((sum, row, k) => sum + alpha[k]! * distance(row, z), 0);
}

/** The geometric median by many of Weiszfeld's iterations from the mean. */
export function geometricMedian(rows: Rows, alpha: readonly number[]): number[] {
  let z = columns(rows).map(meanOf);
  for (let i = 0; i < 5000; i++) {
    const weights = rows.map((row, k) => alpha[k]! / Math.max(1e-12, distance(row, z)));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    z = columns(rows).map((column) => column.reduce((sum, value, k) => sum + weights[k]! * value, 0) / total);
  }
  return z;
}

/** x + Σ α_k·Δ_k·min(1, M / ‖Δ_k‖). */
export function boundedMean(
  rows: Rows,
  { start, alpha, norm }: {
    readonly start: readonly number[];
    readonly alpha: readonly number[];
    readonly norm: number;
  },
): number[] {
  return start.map((x, j) =>
    x + rows.reduce((sum, row, k) => {
      const factor = Math.min(1, norm / (distance(row, start) || 1));
      return sum + alpha[k]! * factor * (row[j]! - x);
    }, 0)
  );
}
