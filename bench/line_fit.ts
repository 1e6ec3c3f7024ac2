/** A straight line through points. */
export interface LineFit {
  readonly slope: number;
  readonly intercept: number;
  /** Share of the variance that the line explains: 1 when all points lie on it. */
  readonly rSquared: number;
  /** Largest distance of a point from the line, relative to the point. */
  readonly largestResidual: number;
}

/** The line y = slope·x + intercept of least squares. */
export function fitLine(points: readonly (readonly [x: number, y: number])[]): LineFit {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))];
  const covariance = mean(points.map(([x, y]) => (x - meanX) * (y - meanY)));
  const slope = covariance / mean(points.map(([x]) => (x - meanX) ** 2));
  const intercept = meanY - slope * meanX;
  const residuals = points.map(([x, y]) => y - (slope * x + intercept));
  return {
    slope,
    intercept,
    rSquared: 1 - mean(residuals.map((each) => each ** 2)) / mean(points.map(([, y]) => (y - meanY) ** 2)),
    largestResidual: Math.max(...points.map(([, y], i) => Math.abs(residuals[i]! / y))),
  };
}
