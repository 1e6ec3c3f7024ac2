import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { z } from "zod";
import {
  definePartitioner,
  dirichletPartitioner,
  iidPartitioner,
  naturalIdPartitioner,
  type Partition,
  type Partitioner,
  partitioners,
  shareAlike,
} from "../../../src/data/partition/mod.ts";

const cycle = (length: number, numClasses: number): number[] =>
  Array.from({ length }, (_, i) => i % numClasses);
const hash = ({ clients }: Partition): string =>
  createHash("sha256").update(JSON.stringify(clients)).digest("hex").slice(0, 16);

/** A partitioner of each kind, for any number of examples from 4 on, 2 classes and 2 keys at least, and a number of clients. */
const makers: Readonly<Record<string, (k: number, numExamples: number) => Partitioner>> = {
  iid: (k) => partitioners[0]({ numClients: k }),
  size: (k, n) => partitioners[1]({ sizes: new Array(k).fill(Math.floor(n / k)) }),
  linear: () => partitioners[2]({ numClients: 2 }),
  square: () => partitioners[3]({ numClients: 1 }),
  exponential: () => partitioners[4]({ numClients: 2 }),
  dirichlet: (k) => partitioners[5]({ numClients: k, alpha: 0.1, selfBalancing: k % 2 === 0 }),
  "inner-dirichlet": (k) => partitioners[6]({ numClients: k, alpha: 0.05 }),
  distribution: () =>
    partitioners[7]({ numClients: 2, classesPerClient: 2, distribution: { logNormal: { sigma: 0.1 } } }),
  pathological: () =>
    partitioners[8]({ numClients: 4, classesPerClient: 1, assignment: "first-deterministic" }),
  shard: (k) => partitioners[9]({ numClients: k, shardsPerClient: 1 }),
  "natural-id": () => partitioners[10]({}),
  "grouped-natural-id": () => partitioners[11]({ groupSize: 1 }),
  continuous: (k) => partitioners[12]({ numClients: k, strictness: 0.5 }),
  "embedding-clusters": (k) => partitioners[13]({ numClients: k }),
};

describe("definePartitioner()", () => {
  it("definePartitioner() gives partitions of which each example is in one list, ascending, whatever the kind", () => {
    assert.deepEqual(Object.keys(makers), partitioners.map(({ kind }) => kind));
    fc.assert(fc.property(fc.integer({ min: 4, max: 60 }), fc.nat(), fc.maxSafeNat(), (half, k, seed) => {
      const numExamples = 2 * half;
      const input = {
        numExamples,
        labels: cycle(numExamples, 2),
        keys: cycle(numExamples, 3).map((i) => `key ${i}`),
        values: cycle(numExamples, 7),
        embeddings: { data: cycle(numExamples, numExamples), size: 1 },
      };
      const numClients = 1 + k % numExamples;
      for (const [kind, make] of Object.entries(makers)) {
        const partition = make(numClients, numExamples).partition(input, { seed });
        const { clients, leftOut } = partition;
        assert.deepEqual([...clients, leftOut].flat().sort((a, b) => a - b), [...input.labels.keys()], kind);
        for (const indices of [...clients, leftOut]) {
          assert.deepEqual(indices, indices.toSorted((a, b) => a - b), kind);
        }
        assert.ok(clients.every(({ length }) => length > 0), kind);
        assert.deepEqual(make(numClients, numExamples).partition(input, { seed }), partition, kind);
      }
    }));
  });

  it("definePartitioner() draws differently for each seed, where a kind draws at all", () => {
    const n = 40;
    const input = {
      numExamples: n,
      labels: cycle(n, 2),
      keys: cycle(n, 4).map(String),
      values: cycle(n, 7),
      embeddings: { data: cycle(n, n), size: 1 },
    };
    for (const [kind, make] of Object.entries(makers)) {
      // The square maker has one client, which holds everything.
      if (["natural-id", "grouped-natural-id", "square"].includes(kind)) continue;
      const hashes = Array.from({ length: 5 }, (_, seed) => hash(make(3, n).partition(input, { seed })));
      assert.ok(new Set(hashes).size > 1, kind);
    }
  });

  it("definePartitioner() keeps the bits that iid, dirichlet and natural-id had as functions of their own", () => {
    // Recorded before they became partitioners.
    const hashes = [
      iidPartitioner({ numClients: 33 }).partition({ numExamples: 1000 }, { seed: 5 }),
      dirichletPartitioner({ numClients: 20, alpha: 0.3, minSize: 5 })
        .partition({ numExamples: 1000, labels: cycle(1000, 7) }, { seed: 11 }),
      dirichletPartitioner({ numClients: 10, alpha: 100 }).partition({
        numExamples: 500,
        labels: Array.from({ length: 500 }, (_, i) => ["spam", "ham", "x"][i * i % 3]!),
      }, { seed: 2 ** 52 }),
      naturalIdPartitioner({})
        .partition({ numExamples: 100, keys: Array.from({ length: 100 }, (_, i) => `k${i * i % 17}`) }, {
          seed: 0,
        }),
    ].map(hash);
    assert.deepEqual(hashes, [
      "1864e6d42281bf72",
      "9300cfe6c8c1c9bb",
      "e88e141e5c914adf",
      "13977867c615b82e",
    ]);
  });

  it("definePartitioner() refuses options by name when a partitioner is made", () => {
    assert.throws(() => dirichletPartitioner({ numClients: 2, alpha: [1, -1], minSize: 0 }), {
      name: "RangeError",
      message:
        "Cannot partition (dirichlet): alpha.1: expected more than 0, got -1; minSize: expected at least 1, got 0",
    });
    assert.throws(() => iidPartitioner({ numClients: 2, alpha: 1 } as never), {
      name: "RangeError",
      message: /Unrecognized key: "alpha"/,
    });
  });

  it("definePartitioner() refuses input that isn't whole", () => {
    const partitioner = dirichletPartitioner({ numClients: 2, alpha: 1 });
    assert.throws(() => partitioner.partition({ numExamples: 3 }, { seed: 1 }), {
      name: "TypeError",
      message: "Cannot partition (dirichlet): expected labels of the examples, got none",
    });
    assert.throws(() => partitioner.partition({ numExamples: 3, labels: [1, 2] }, { seed: 1 }), {
      name: "RangeError",
      message: "Cannot partition (dirichlet): expected labels of 3 examples, got 2",
    });
    for (const numExamples of [0, -1, 1.5, NaN]) {
      assert.throws(() => iidPartitioner({ numClients: 1 }).partition({ numExamples }, { seed: 1 }), {
        name: "RangeError",
        message: /numExamples must be a positive integer/,
      });
    }
  });

  it("definePartitioner() refuses a partition that gives an example out twice, or nothing to a client", () => {
    const define = (clients: number[][]) =>
      definePartitioner({
        kind: "odd",
        summary: "",
        shape: { k: z.int().default(1) },
        example: {},
        share: () => clients,
      })({});
    assert.throws(
      () => define([[0], [1, 0]]).partition({ numExamples: 2 }, { seed: 1 }),
      /example 0 .* twice/,
    );
    assert.throws(() => define([[0], []]).partition({ numExamples: 2 }, { seed: 1 }), {
      name: "RangeError",
      message: /client 1 would hold no example of 2/,
    });
    assert.deepEqual(define([[2, 0]]).partition({ numExamples: 4 }, { seed: 1 }), {
      clients: [[0, 2]],
      leftOut: [1, 3],
    });
  });

  it("definePartitioner() gives 200,000 examples of one class to one client", () => {
    const numExamples = 200_000;
    const input = { numExamples, labels: new Uint8Array(numExamples) };
    for (
      const partitioner of [
        partitioners[0]({ numClients: 1 }),
        partitioners[5]({ numClients: 1, alpha: 1 }),
        partitioners[7]({ numClients: 1, classesPerClient: 1, distribution: [[1]] }),
        partitioners[8]({ numClients: 1, classesPerClient: 1 }),
        partitioners[9]({ numClients: 1, shardsPerClient: 1 }),
      ]
    ) {
      const { clients } = partitioner.partition(input, { seed: 1 });
      assert.equal(clients[0]!.length, numExamples, partitioner.kind);
      assert.equal(
        shareAlike(clients, { strata: input.labels, others: input.labels }, { seed: 1 })[0]!.length,
        numExamples,
      );
    }
  });

  it("every kind of the registry takes its own example as options", () => {
    for (const { kind, example, summary } of partitioners) {
      const make = partitioners.find((each) => each.kind === kind)! as (options: object) => Partitioner;
      assert.equal(make(example).kind, kind);
      assert.ok(summary.length > 0);
    }
  });
});
