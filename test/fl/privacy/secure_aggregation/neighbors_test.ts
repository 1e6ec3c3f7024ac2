import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { randomKey, RandomStream } from "../../../../src/engine/mod.ts";
import {
  chooseNeighbors,
  defaultThreshold,
  lowestThreshold,
  neighborGraph,
} from "../../../../src/fl/privacy/secure_aggregation/mod.ts";

/** Clients that can be reached from one by neighbours, without those that are gone. */
function reached(graph: ReadonlyMap<number, readonly number[]>, gone: ReadonlySet<number>): number {
  const start = [...graph.keys()].find((id) => !gone.has(id))!;
  const seen = new Set([start]);
  for (const id of seen) for (const next of graph.get(id)!) if (!gone.has(next)) seen.add(next);
  return seen.size;
}

test("neighborGraph() is regular and symmetric, and stays connected without any k − 1 clients", () => {
  fc.assert(
    fc.property(fc.integer({ min: 3, max: 40 }), fc.constantFrom(2, 4, 6, 10), fc.nat(), (n, k, seed) => {
      const stream = new RandomStream(randomKey(seed, "graph"));
      const clients = Array.from({ length: n }, (_, i) => 5 * i);
      const graph = neighborGraph(clients, { neighbors: k, shuffle: (ids) => stream.shuffle(ids) });
      const degree = Math.min(k, n - 1);
      for (const [id, holders] of graph) {
        assert.equal(holders.length, degree + 1);
        assert.ok(holders.includes(id));
        assert.deepEqual(holders, [...new Set(holders)].sort((a, b) => a - b));
        for (const other of holders) assert.ok(graph.get(other)!.includes(id));
      }
      const gone = new Set(stream.shuffle([...clients]).slice(0, Math.min(degree - 1, n - 1)));
      assert.equal(reached(graph, gone), n - gone.size);
    }),
    { numRuns: 60 },
  );
});

test("neighborGraph() takes an even number of neighbours, and everybody where there aren't more", () => {
  const shuffle = (ids: number[]) => ids;
  assert.deepEqual([...neighborGraph([4, 1, 7], { shuffle })], [[4, [1, 4, 7]], [1, [1, 4, 7]], [7, [
    1,
    4,
    7,
  ]]]);
  assert.deepEqual(
    [...neighborGraph([4, 1, 7], { neighbors: 2, shuffle }).values()],
    Array(3).fill([1, 4, 7]),
  );
  for (const neighbors of [0, 1, 3, 2.5, -2]) {
    assert.throws(() => neighborGraph([1, 2, 3, 4, 5], { neighbors, shuffle }), {
      name: "RangeError",
      message:
        `Cannot aggregate securely with ${neighbors} neighbors: expected an even number of at least 2, half of them on either side`,
    });
  }
});

test("lowestThreshold() is the smallest majority, and defaultThreshold() the smallest above two thirds", () => {
  for (let shares = 3; shares < 100; shares++) {
    const lowest = lowestThreshold(shares);
    assert.ok(2 * lowest > shares && 2 * (lowest - 1) <= shares);
    const usual = defaultThreshold(shares);
    assert.ok(3 * usual > 2 * shares && 3 * (usual - 1) <= 2 * shares && usual <= shares);
  }
});

/** Exact probabilities in big integers. */
function choose(n: number, k: number): bigint {
  if (k < 0 || k > n) return 0n;
  let result = 1n;
  for (let i = 1; i <= k; i++) result = result * BigInt(n - k + i) / BigInt(i);
  return result;
}
function tail(n: number, marked: number, k: number, least: number): number {
  let sum = 0n;
  for (let x = least; x <= k; x++) sum += choose(marked, x) * choose(n - marked, k - x);
  return Number(sum * 10n ** 40n / choose(n, k)) / 1e40;
}

test("chooseNeighbors() keeps the promised probabilities, by exact counting, and grows like the logarithm", () => {
  const degrees = [100, 300, 1000, 10000].map((clients) => {
    const { neighbors: k, threshold: t } = chooseNeighbors({ clients });
    const marked = Math.ceil(clients / 10);
    assert.ok(2 * t > k + 1 && t <= k + 1);
    if (k < clients - 1) {
      assert.ok(clients * 0.2 ** (k / 2) <= 2 ** -41);
      assert.ok(clients * tail(clients - 1, marked, k, t) <= 2 ** -41, `${clients}`);
      assert.ok(clients * tail(clients - 1, marked, k, k + 2 - t) <= 2 ** -30, `${clients}`);
    }
    return k;
  });
  assert.ok(degrees[3]! < 100, degrees.join());
  assert.ok(degrees.every((k, i) => i === 0 || k >= degrees[i - 1]!), degrees.join());
  assert.deepEqual(chooseNeighbors({ clients: 10 }), { neighbors: 9, threshold: 6 });
  assert.throws(() => chooseNeighbors({ clients: 10, corrupt: 0.5, lost: 0.5 }), {
    name: "RangeError",
    message: /^Cannot aggregate 10 clients securely where 5 may be corrupt and 5 lost/,
  });
});
