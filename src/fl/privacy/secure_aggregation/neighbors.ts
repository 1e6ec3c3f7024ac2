/** Options of {@linkcode neighborGraph}. */
export interface NeighborGraphOptions {
  /** Neighbours of each client, an even number; all others by default, and where there aren't more. */
  readonly neighbors?: number | undefined;
  /** Puts numbers into a random order. */
  readonly shuffle: (clients: number[]) => number[];
}

/**
 * Who masks with whom. With `neighbors`, clients stand on a circle in random order, each beside its k/2 next on either
 * side (a Harary graph, as in SecAgg+; Bell et al., ePrint 2020/704): regular, and connected as long as no k/2 clients in a row are
 * taken out at two places. Without it everybody masks with everybody (SecAgg).
 *
 * @returns for each client itself and its neighbours, ascending.
 * @throws {RangeError} when the number of neighbours is odd or below 2.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const graph = neighborGraph([0, 1, 2, 3, 4], { neighbors: 2, shuffle: (clients) => clients });
 * assert.deepEqual(graph.get(0), [0, 1, 4]);
 * ```
 */
export function neighborGraph(
  clients: readonly number[],
  { neighbors = Infinity, shuffle }: NeighborGraphOptions,
): Map<number, number[]> {
  const n = clients.length;
  if (neighbors >= n - 1) return new Map(clients.map((id) => [id, ascending(clients)]));
  checkNeighbors(neighbors);
  const circle = shuffle([...clients]);
  return new Map(circle.map((id, place) => {
    const around = Array.from(
      { length: neighbors + 1 },
      (_, i) => circle[(place + i - neighbors / 2 + n) % n]!,
    );
    return [id, ascending(around)];
  }));
}

/**
 * Makes sure that clients can have so many neighbours.
 *
 * @throws {RangeError} when the number is odd or below 2.
 */
export function checkNeighbors(neighbors: number): void {
  if (Number.isInteger(neighbors) && neighbors >= 2 && neighbors % 2 === 0) return;
  throw new RangeError(
    `Cannot aggregate securely with ${neighbors} neighbors: expected an even number of at least 2, half of them on either side`,
  );
}

/** The threshold where none is chosen: more than two thirds of the shares, as Bonawitz et al. advise against a server that lies. */
export function defaultThreshold(shares: number): number {
  return Math.floor((2 * shares) / 3) + 1;
}

/** The lowest threshold that is safe: with half of the shares, a server could ask one half of the holders for one secret of a client, and the other half for the other. */
export function lowestThreshold(shares: number): number {
  return Math.max(2, Math.floor(shares / 2) + 1);
}

/** Options of {@linkcode chooseNeighbors}. */
export interface ChooseNeighborsOptions {
  /** Clients of a round. */
  readonly clients: number;
  /** Share of them that may work together with the server; a tenth by default. */
  readonly corrupt?: number;
  /** Share of them that may be lost; a tenth by default. */
  readonly lost?: number;
  /** Bits of security σ: what is hidden comes out with a probability of at most 2^−σ; 40 by default. */
  readonly security?: number;
  /** Bits of correctness η: a round fails for too few shares with a probability of at most 2^−η; 30 by default. */
  readonly correctness?: number;
}

/** A graph's degree, and the threshold of shares that goes with it. */
export interface NeighborChoice {
  /** k, even; one less than the clients where no smaller number will do. */
  readonly neighbors: number;
  /** t, of k + 1 shares. */
  readonly threshold: number;
}

/**
 * The fewest neighbours with a threshold for a number of clients, O(log n), after SecAgg+ (Bell et al., ePrint 2020/704, section 3): over the random order,
 *
 * - nobody's holders include t that work with the server: n·Pr[Hypergeometric(n − 1, γn, k) ≥ t] ≤ 2^−σ/2;
 * - honest clients that stay are connected: n·(γ + δ)^(k/2) ≤ 2^−σ/2, as a cut needs k/2 others in a row;
 * - everybody keeps t holders: n·Pr[Hypergeometric(n − 1, δn, k) > k + 1 − t] ≤ 2^−η;
 * - t is more than half of the shares, so that no two sets of holders can be asked for different secrets of one client.
 *
 * @throws {RangeError} when not even all others as neighbours will do.
 */
export function chooseNeighbors(options: ChooseNeighborsOptions): NeighborChoice {
  const { clients: n, corrupt = 0.1, lost = 0.1, security = 40, correctness = 30 } = options;
  const [bad, gone] = [Math.ceil(corrupt * n), Math.ceil(lost * n)];
  for (let k = 2; k < n - 1; k += 2) {
    if (Math.log2(n) + (k / 2) * Math.log2((bad + gone) / n) > -(security + 1)) continue;
    for (let t = lowestThreshold(k + 1); t <= k + 1; t++) {
      const isSafe = Math.log2(n) + log2Tail({ n: n - 1, marked: bad, k, least: t }) <= -(security + 1);
      if (!isSafe) continue;
      const isRobust =
        Math.log2(n) + log2Tail({ n: n - 1, marked: gone, k, least: k + 2 - t }) <= -correctness;
      if (isRobust) return { neighbors: k, threshold: t };
      break;
    }
  }
  const threshold = Math.max(lowestThreshold(n), bad + 1);
  if (n - gone < threshold) {
    throw new RangeError(
      `Cannot aggregate ${n} clients securely where ${bad} may be corrupt and ${gone} lost: the rest are fewer than the ` +
        `${threshold} that must hold shares`,
    );
  }
  return { neighbors: n - 1, threshold };
}

/** log₂ Pr[X ≥ least] of a hypergeometric X: k drawn out of n, of which some are marked. */
function log2Tail(
  { n, marked, k, least }: {
    readonly n: number;
    readonly marked: number;
    readonly k: number;
    readonly least: number;
  },
): number {
  const most = Math.min(k, marked);
  if (least > most) return -Infinity;
  const terms: number[] = [];
  for (let x = Math.max(least, k - (n - marked), 0); x <= most; x++) {
    terms.push(logChoose(marked, x) + logChoose(n - marked, k - x) - logChoose(n, k));
  }
  const largest = Math.max(...terms);
  return (largest + Math.log(terms.reduce((sum, term) => sum + Math.exp(term - largest), 0))) / Math.LN2;
}

/** ln of a binomial coefficient. */
function logChoose(n: number, k: number): number {
  let sum = 0;
  for (let i = 1; i <= Math.min(k, n - k); i++) sum += Math.log((n - i + 1) / i);
  return sum;
}

function ascending(numbers: readonly number[]): number[] {
  return [...numbers].sort((a, b) => a - b);
}
