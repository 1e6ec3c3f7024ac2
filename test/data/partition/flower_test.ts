import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, describe, it } from "node:test";
import {
  continuousPartitioner,
  dirichletPartitioner,
  distributionPartitioner,
  exponentialPartitioner,
  groupedNaturalIdPartitioner,
  iidPartitioner,
  innerDirichletPartitioner,
  linearPartitioner,
  measureSkew,
  naturalIdPartitioner,
  type Partition,
  type Partitioner,
  pathologicalPartitioner,
  shardPartitioner,
  squarePartitioner,
} from "../../../src/data/partition/mod.ts";

// What Flower's partitioners and scikit-learn make of the same parameters; see test/golden/partition/generate.py.

interface Reference {
  growth: {
    kind: "linear" | "square" | "exponential";
    numExamples: number;
    numClients: number;
    sizes: number[];
  }[];
  equal: { numExamples: number; numClients: number; sizes: number[] }[];
  shards: { options: Record<string, number | boolean>; sizes: number[]; labels: number[] }[];
  natural: { keys: string[]; options: { groupSize: number } | null; clients: number[][] }[];
  pathological: { labels: number[]; numClients: number; classesPerClient: number; counts: number[][] }[];
  distributions: (Parameters<typeof distributionPartitioner>[0] & { labels: number[]; counts: number[][] })[];
  continuous: { values: number[]; numClients: number; clients: number[][] }[];
  statistics: {
    kind: string;
    options: Record<string, never>;
    labels: number[];
    runs: number;
    means: number[];
    errors: number[];
  }[];
}

let reference: Reference;
before(async () => {
  const path = new URL("../../golden/partition/reference.json", import.meta.url);
  reference = JSON.parse(await readFile(path, "utf8")) as Reference;
});

const sizesOf = ({ clients }: Partition): number[] => clients.map(({ length }) => length);
const ascending = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);

function countsOf({ clients }: Partition, labels: readonly number[], numClasses: number): number[][] {
  return clients.map((indices) =>
    Array.from({ length: numClasses }, (_, c) => indices.filter((i) => labels[i] === c).length)
  );
}

describe("as Flower's partitioners", () => {
  it("linearPartitioner(), squarePartitioner() and exponentialPartitioner() have the same sizes", () => {
    const makers = {
      linear: linearPartitioner,
      square: squarePartitioner,
      exponential: exponentialPartitioner,
    };
    assert.ok(reference.growth.length >= 27);
    for (const { kind, numExamples, numClients, sizes } of reference.growth) {
      const partition = makers[kind]({ numClients }).partition({ numExamples }, { seed: 1 });
      assert.deepEqual(sizesOf(partition), sizes, `${kind} ${numExamples} ${numClients}`);
      assert.deepEqual(partition.leftOut, []);
    }
  });

  it("iidPartitioner() has the same sizes", () => {
    for (const { numExamples, numClients, sizes } of reference.equal) {
      assert.deepEqual(
        sizesOf(iidPartitioner({ numClients }).partition({ numExamples }, { seed: 1 })),
        sizes,
      );
    }
  });

  it("shardPartitioner() makes as many shards of the same sizes, and leaves as many examples out", () => {
    for (const { options, sizes, labels } of reference.shards) {
      const partitioner = shardPartitioner({
        numClients: 10,
        shardsPerClient: options["num_shards_per_partition"] as number | undefined,
        shardSize: options["shard_size"] as number | undefined,
        keepIncompleteShard: options["keep_incomplete_shard"] === true,
      });
      const partition = partitioner.partition({ numExamples: labels.length, labels }, { seed: 1 });
      // Who gets the incomplete shard is drawn: shards are compared, and examples altogether.
      const size = sizes.reduce((a, b) => a + b) === labels.length ? options["shard_size"] as number ?? 5 : 1;
      const shards = (list: readonly number[]) => ascending(list.map((each) => Math.ceil(each / size)));
      assert.deepEqual(shards(sizesOf(partition)), shards(sizes), JSON.stringify(options));
      assert.equal(partition.leftOut.length, labels.length - sizes.reduce((a, b) => a + b));
    }
  });

  it("naturalIdPartitioner() and groupedNaturalIdPartitioner() give each client the same examples", () => {
    for (const { keys, options, clients } of reference.natural) {
      const partitioner = options === null
        ? naturalIdPartitioner({ sortKeys: true })
        : groupedNaturalIdPartitioner(options);
      const found = partitioner.partition({ numExamples: keys.length, keys }, { seed: 1 });
      assert.deepEqual(found.clients, clients, JSON.stringify(options));
    }
  });

  it("pathologicalPartitioner() gives each client as many of each class, where nothing is drawn", () => {
    for (const { labels, numClients, classesPerClient, counts } of reference.pathological) {
      const partitioner = pathologicalPartitioner({
        numClients,
        classesPerClient,
        assignment: "deterministic",
      });
      const partition = partitioner.partition({ numExamples: labels.length, labels }, { seed: 1 });
      assert.deepEqual(countsOf(partition, labels, 5), counts);
    }
  });

  it("distributionPartitioner() gives each client as many of each class, but for what rounding leaves", () => {
    let exact = 0;
    for (const { labels, counts, ...options } of reference.distributions) {
      // Flower ignores the number without rescale; here it is refused.
      const partition = distributionPartitioner(options).partition({ numExamples: 300, labels }, { seed: 1 });
      const found = countsOf(partition, labels, 3);
      for (let c = 0; c < 3; c++) {
        // What rounding leaves goes to one client drawn at random, here and there.
        const differences = found.map((row, k) => row[c]! - counts[k]![c]!).filter((each) => each !== 0);
        assert.ok([0, 2].includes(differences.length), `${differences}`);
        assert.equal(differences.reduce((a, b) => a + b, 0), 0);
        assert.ok(differences.every((each) => Math.abs(each) < counts.length));
        if (differences.length === 0) exact++;
      }
    }
    assert.ok(exact >= 9, `${exact} of ${3 * reference.distributions.length} classes have the same counts`);
  });

  it("continuousPartitioner() gives each client the same examples without noise", () => {
    for (const { values, numClients, clients } of reference.continuous) {
      const partitioner = continuousPartitioner({ numClients, strictness: 1 });
      assert.deepEqual(partitioner.partition({ numExamples: 50, values }, { seed: 1 }).clients, clients);
    }
  });

  it("partitioners that draw are as skewed on average", () => {
    const makers: Record<string, (options: never) => Partitioner> = {
      dirichlet: dirichletPartitioner,
      "inner-dirichlet": innerDirichletPartitioner,
      pathological: pathologicalPartitioner,
      shard: shardPartitioner,
      continuous: continuousPartitioner,
    };
    assert.ok(reference.statistics.length >= 14);
    for (const { kind, options, labels, means, errors } of reference.statistics) {
      const partitioner = makers[kind]!(options as never);
      const input = { numExamples: labels.length, labels, values: labels };
      const found = Array.from({ length: 300 }, (_, seed) => {
        const partition = partitioner.partition(input, { seed });
        const { totalVariation, effectiveClasses, sizes } = measureSkew(
          sizesOf(partition),
          countsOf(partition, labels, 5),
        );
        return [totalVariation!.mean, effectiveClasses!.mean, sizes.max, sizes.min];
      });
      for (const [m, expected] of means.entries()) {
        const values = found.map((each) => each[m]!);
        const mean = values.reduce((a, b) => a + b) / values.length;
        const variance = values.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (values.length - 1);
        // Five standard errors of the difference. Shares are rounded down there and to the nearest here, and clients that got nothing
        // are filled up here and drawn again there: sizes may differ by one more.
        const bound = 5 * Math.hypot(Math.sqrt(variance / values.length), errors[m]!) + (m < 2 ? 1e-9 : 1);
        const what = ["distance", "classes", "largest", "smallest"][m];
        assert.ok(
          Math.abs(mean - expected) <= bound,
          `${kind} ${JSON.stringify(options)} ${what}: ${mean}, Flower's ${expected} ± ${bound}`,
        );
      }
    }
  });
});
