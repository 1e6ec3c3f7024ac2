import type { RandomStream } from "../../../engine/random.ts";
import type { Embeddings } from "../partitioner.ts";

/** Options of {@linkcode kMeans}. */
export interface KMeansOptions {
  readonly numClusters: number;
  /** Draws the first centres. */
  readonly stream: RandomStream;
  /** Most times that centres are moved; 100 by default. */
  readonly maxIterations?: number;
}

/** What {@linkcode kMeans} found. */
export interface Clusters {
  /** The cluster of each point; every cluster has at least one. */
  readonly labels: Int32Array;
  /** The mean of each cluster's points, row by row. */
  readonly centers: Float64Array;
  /** Sum of squared distances of points from the centres of their clusters. */
  readonly inertia: number;
}

/**
 * Lloyd's algorithm from the start of k-means++ (Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA
 * 2007), in float64 and in a fixed order: equal points and draws give equal clusters. A point that is equally far from several
 * centres goes to the first; a cluster that loses all its points gets the one that is farthest from its centre.
 *
 * @throws {TypeError} if a number isn't finite.
 * @throws {RangeError} if there are fewer distinct points than clusters.
 *
 * @example
 * ```ts no-run
 * const points = { data: [0, 1, 10, 11], size: 1 };
 * kMeans(points, { numClusters: 2, stream: new RandomStream(randomKey(1)) }).labels; // [0, 0, 1, 1] or [1, 1, 0, 0]
 * ```
 */
export function kMeans(
  points: Embeddings,
  { numClusters, stream, maxIterations = 100 }: KMeansOptions,
): Clusters {
  const rows = Float64Array.from(points.data);
  const odd = rows.findIndex((value) => !Number.isFinite(value));
  if (odd !== -1) {
    throw new TypeError(
      `Cannot cluster: expected finite numbers, got ${rows[odd]} of point ${Math.floor(odd / points.size)}`,
    );
  }
  return lloyd(
    { data: rows, size: points.size },
    firstCenters(rows, { numClusters, size: points.size, stream }),
    maxIterations,
  );
}

/**
 * Moves centres to the means of the points that are nearest to them, until no point changes its cluster.
 *
 * @param centers where to start, row by row; not changed.
 */
export function lloyd(
  { data, size }: Embeddings & { readonly data: Float64Array },
  centers: Float64Array,
  maxIterations: number,
): Clusters {
  const [numPoints, numClusters] = [data.length / size, centers.length / size];
  const labels = new Int32Array(numPoints).fill(-1);
  const distances = new Float64Array(numPoints);
  let means = centers;
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    const changed = assign(data, means, { size, labels, distances });
    const filled = fillEmpty(labels, distances, numClusters);
    if (!changed && !filled && iteration > 0) break;
    means = meansOf(data, { size, labels, numClusters });
  }
  let inertia = 0;
  for (let i = 0; i < numPoints; i++) inertia += squaredDistance(data, i, means, labels[i]!, size);
  return { labels, centers: means, inertia };
}

/**
 * The cluster of each of other points: the one whose points have the nearest mean.
 *
 * @param labels the cluster of each of the first points.
 * @throws {RangeError} if there isn't a label for each of the first points, or points differ in size.
 */
export function nearestClusters(
  points: Embeddings,
  labels: Int32Array,
  others: Embeddings,
): Int32Array {
  const { size } = points;
  if (labels.length * size !== points.data.length || others.size !== size) {
    throw new RangeError(
      `Cannot find the nearest clusters: expected labels of ${
        points.data.length / size
      } points and others of ${size} numbers, ` +
        `got ${labels.length} and ${others.size}`,
    );
  }
  const numClusters = labels.reduce((most, label) => Math.max(most, label + 1), 0);
  const means = meansOf(Float64Array.from(points.data), { size, labels, numClusters });
  const nearest = new Int32Array(others.data.length / size);
  assign(Float64Array.from(others.data), means, {
    size,
    labels: nearest,
    distances: new Float64Array(nearest.length),
  });
  return nearest;
}

/** Each centre after the first is drawn with probability in proportion to the squared distance from the nearest before it. */
function firstCenters(data: Float64Array, { numClusters, size, stream }: {
  readonly numClusters: number;
  readonly size: number;
  readonly stream: RandomStream;
}): Float64Array {
  const numPoints = data.length / size;
  const centers = new Float64Array(numClusters * size);
  const nearest = new Float64Array(numPoints).fill(Infinity);
  for (let c = 0; c < numClusters; c++) {
    const i = c === 0 ? stream.integer(numPoints) : drawByWeight(nearest, stream);
    if (i === -1) {
      throw new RangeError(
        `Cannot cluster: expected at least ${numClusters} different points, as many as clusters, got ${c}`,
      );
    }
    centers.set(data.subarray(i * size, (i + 1) * size), c * size);
    for (let j = 0; j < numPoints; j++) {
      nearest[j] = Math.min(nearest[j]!, squaredDistance(data, j, centers, c, size));
    }
  }
  return centers;
}

/** An index drawn with probability in proportion to its weight; -1 if all weights are 0. */
function drawByWeight(weights: Float64Array, stream: RandomStream): number {
  const draw = stream.uniform() * weights.reduce((a, b) => a + b);
  let sum = 0;
  for (let i = 0; i < weights.length; i++) {
    sum += weights[i]!;
    if (draw < sum) return i;
  }
  // Rounding may leave the sum a little below the draw.
  return weights.findLastIndex((weight) => weight > 0);
}

/** Assigns each point to its nearest centre; whether any has changed. */
function assign(data: Float64Array, centers: Float64Array, { size, labels, distances }: {
  readonly size: number;
  readonly labels: Int32Array;
  readonly distances: Float64Array;
}): boolean {
  let changed = false;
  const numClusters = centers.length / size;
  for (let i = 0; i < labels.length; i++) {
    let [best, least] = [0, Infinity];
    for (let c = 0; c < numClusters; c++) {
      const distance = squaredDistance(data, i, centers, c, size);
      if (distance < least) [best, least] = [c, distance];
    }
    changed ||= labels[i] !== best;
    labels[i] = best;
    distances[i] = least;
  }
  return changed;
}

/** Gives each empty cluster the farthest point of a cluster that has others; whether there was one. */
function fillEmpty(labels: Int32Array, distances: Float64Array, numClusters: number): boolean {
  const counts = new Int32Array(numClusters);
  for (const label of labels) counts[label]!++;
  const empty = [...counts.keys()].filter((c) => counts[c] === 0);
  for (const c of empty) {
    let farthest = -1;
    for (let i = 0; i < labels.length; i++) {
      if (counts[labels[i]!]! > 1 && (farthest === -1 || distances[i]! > distances[farthest]!)) farthest = i;
    }
    counts[labels[farthest]!]!--;
    counts[c] = 1;
    labels[farthest] = c;
    distances[farthest] = 0;
  }
  return empty.length > 0;
}

function meansOf(data: Float64Array, { size, labels, numClusters }: {
  readonly size: number;
  readonly labels: Int32Array;
  readonly numClusters: number;
}): Float64Array {
  const means = new Float64Array(numClusters * size);
  const counts = new Int32Array(numClusters);
  for (const [i, c] of labels.entries()) {
    counts[c]!++;
    for (let d = 0; d < size; d++) means[c * size + d]! += data[i * size + d]!;
  }
  for (let c = 0; c < numClusters; c++) {
    for (let d = 0; d < size; d++) means[c * size + d]! /= counts[c]!;
  }
  return means;
}

function squaredDistance(a: Float64Array, i: number, b: Float64Array, j: number, size: number): number {
  let sum = 0;
  for (let d = 0, x = i * size, y = j * size; d < size; d++) {
    const difference = a[x + d]! - b[y + d]!;
    sum += difference * difference;
  }
  return sum;
}
