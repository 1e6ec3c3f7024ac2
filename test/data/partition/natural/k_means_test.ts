import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import fc from "fast-check";
import { embeddingClustersPartitioner, kMeans, nearestClusters } from "../../../../src/data/partition/mod.ts";
import { lloyd } from "../../../../src/data/partition/natural/k_means.ts";
import { randomKey, RandomStream } from "../../../../src/engine/random.ts";

const stream = (seed: number) => new RandomStream(randomKey(seed, "test"));

interface KMeansCase {
  data: number[];
  size: number;
  numClusters: number;
  labels: number[];
  inertia: number;
  centers: number[];
}

describe("kMeans()", () => {
  it("lloyd() comes to the clusters of scikit-learn from the same centres", async () => {
    const path = new URL("../../../golden/partition/reference.json", import.meta.url);
    const { k_means: cases } = JSON.parse(await readFile(path, "utf8")) as { k_means: KMeansCase[] };
    assert.equal(cases.length, 3);
    for (const { data, size, numClusters, labels, inertia, centers } of cases) {
      const first = Float64Array.from(data.slice(0, numClusters * size));
      const found = lloyd({ data: Float64Array.from(data), size }, first, 300);
      assert.deepEqual([...found.labels], labels);
      // Both in float64, sums of at most 200 terms in another order: n · 2⁻⁵³ relative, times a few.
      assert.ok(Math.abs(found.inertia - inertia) <= 1e-12 * inertia, `${found.inertia} ${inertia}`);
      centers.forEach((value, i) =>
        assert.ok(Math.abs(found.centers[i]! - value) < 1e-12 * (1 + Math.abs(value)))
      );
    }
  });

  it("kMeans() puts every point with its nearest centre, and none in no cluster", () => {
    const points = fc.array(fc.tuple(fc.integer({ min: -20, max: 20 }), fc.integer({ min: -20, max: 20 })), {
      minLength: 1,
      maxLength: 60,
    });
    fc.assert(fc.property(points, fc.nat(), fc.nat(), (rows, k, seed) => {
      const distinct = new Set(rows.map(String)).size;
      const numClusters = 1 + k % distinct;
      const embeddings = { data: rows.flat(), size: 2 };
      const { labels, centers, inertia } = kMeans(embeddings, { numClusters, stream: stream(seed) });
      assert.equal(new Set(labels).size, numClusters);
      const distance = (i: number, c: number) =>
        (rows[i]![0] - centers[2 * c]!) ** 2 + (rows[i]![1] - centers[2 * c + 1]!) ** 2;
      let sum = 0;
      for (const [i, label] of labels.entries()) {
        for (let c = 0; c < numClusters; c++) assert.ok(distance(i, label) <= distance(i, c) + 1e-9);
        sum += distance(i, label);
      }
      assert.ok(Math.abs(sum - inertia) < 1e-9 * (1 + sum));
      assert.deepEqual(kMeans(embeddings, { numClusters, stream: stream(seed) }).labels, labels);
    }));
  });

  it("kMeans() finds clusters that are far apart, from any start", () => {
    const data = Array.from({ length: 90 }, (_, i) => 1000 * (i % 3) + (i * 7) % 10);
    for (let seed = 0; seed < 20; seed++) {
      const { labels } = kMeans({ data, size: 1 }, { numClusters: 3, stream: stream(seed) });
      for (let i = 3; i < 90; i++) assert.equal(labels[i], labels[i % 3]);
    }
  });

  it("kMeans() refuses fewer different points than clusters, and points that aren't finite", () => {
    const options = { numClusters: 3, stream: stream(1) };
    assert.throws(() => kMeans({ data: [1, 1, 2, 2], size: 1 }, options), {
      name: "RangeError",
      message: "Cannot cluster: expected at least 3 different points, as many as clusters, got 2",
    });
    assert.throws(() => kMeans({ data: [1, 2, 3, NaN], size: 2 }, options), {
      name: "TypeError",
      message: "Cannot cluster: expected finite numbers, got NaN of point 1",
    });
  });
});

describe("nearestClusters()", () => {
  it("nearestClusters() puts points with the nearest mean of a cluster", () => {
    const points = { data: [0, 0, 2, 0, 9, 9, 9, 11], size: 2 };
    // The means are (1, 0) and (9, 10).
    const labels = Int32Array.of(1, 1, 0, 0);
    const others = { data: [1, 1, 8, 8, 5, 4, 5, 6], size: 2 };
    assert.deepEqual([...nearestClusters(points, labels, others)], [1, 0, 1, 0]);
    assert.throws(() => nearestClusters(points, labels, { data: [1], size: 1 }), {
      name: "RangeError",
      message: /expected labels of 4 points and others of 2 numbers, got 4 and 1/,
    });
    assert.throws(() => nearestClusters(points, Int32Array.of(0), others), /got 1 and 2/);
  });
});

describe("embeddingClustersPartitioner()", () => {
  it("embeddingClustersPartitioner() gives each cluster to a client", () => {
    const embeddings = { data: [0, 0, 9, 9, 0, 1, 9, 8, 5, 0], size: 2 };
    const { clients } = embeddingClustersPartitioner({ numClients: 3 })
      .partition({ numExamples: 5, embeddings }, { seed: 4 });
    assert.deepEqual(clients.toSorted((a, b) => a[0]! - b[0]!), [[0, 2], [1, 3], [4]]);
  });

  it("embeddingClustersPartitioner() refuses embeddings of other examples", () => {
    const embeddings = { data: [1, 2, 3], size: 2 };
    assert.throws(
      () =>
        embeddingClustersPartitioner({ numClients: 1 }).partition({ numExamples: 2, embeddings }, {
          seed: 1,
        }),
      {
        name: "RangeError",
        message:
          "Cannot partition (embedding-clusters): expected embeddings of 2 examples with 2 numbers each, got 3 numbers",
      },
    );
  });
});
