import assert from "node:assert/strict";
import { test } from "node:test";
import {
  needsOf,
  partitionConfig,
  type PartitionConfigInput,
  partitionerOf,
} from "../../../src/experiment/config/partition_config.ts";
import { ConfigError, parseConfig } from "../../../src/experiment/config/parse_config.ts";
import { describePartition } from "../../../src/experiment/partition/describe_partition.ts";

const base = {
  name: "x",
  data: { kind: "files", train: "x.csv" },
  methods: [{ method: "fedit", learningRate: 1 }],
  rounds: 1,
};

/** What is wrong with a configuration with that partition. */
function problemsOf(partition: object, change: object = {}): string[] {
  try {
    parseConfig({ ...base, partition, ...change });
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message.split("\n").slice(1).map((line) => line.trim());
  }
}

test("parseConfig() takes by-key for natural-id, and fills in defaults of a kind", () => {
  const parse = (input: PartitionConfigInput) => partitionConfig.parse(input);
  assert.deepEqual(parse({ kind: "by-key" }), {
    kind: "natural-id",
    sortKeys: false,
    labelPermutation: false,
  });
  assert.deepEqual(parse({ kind: "dirichlet", numClients: 2, alpha: [1, 2] }), {
    kind: "dirichlet",
    numClients: 2,
    alpha: [1, 2],
    minSize: 1,
    selfBalancing: false,
    by: "classes",
    labelPermutation: false,
  });
  const { kind, needs } = partitionerOf(
    parse({ kind: "shard", numClients: 2, shardsPerClient: 1, by: "keys" }),
  );
  assert.deepEqual([kind, needs], ["shard", ["labels"]]);
});

test("parseConfig() names what is wrong with a partition", () => {
  for (
    const [partition, ...problems] of [
      [
        { kind: "dirichlett" },
        /^partition\.kind: expected "iid" or "size" or .* or "embedding-clusters", got "dirichlett"; did you mean "dirichlet"\?$/,
      ],
      [
        { kind: "dirichlet", numClients: 2, alpha: "much" },
        /^partition\.alpha: expected a number or a list, got "much"$/,
      ],
      [
        { kind: "dirichlet", numClients: 2, alpha: [1, 0] },
        /^partition\.alpha\[1\]: expected more than 0, got 0$/,
      ],
      [
        { kind: "dirichlet", numClients: 2, alpha: [1] },
        /^partition\.alpha: expected a number, or one for each of 2 clients, got 1$/,
      ],
      [
        { kind: "iid", numClients: 2, by: "keys" },
        /^partition: unknown key "by"; known are kind, numClients, labelPermutation$/,
      ],
      [
        { kind: "shard", numClients: 2 },
        /^partition\.shardsPerClient: expected shardsPerClient or shardSize, got neither$/,
      ],
      [
        { kind: "shard", numClients: 2, shardSize: 5, by: { clusters: 1 } },
        /^partition\.by\.clusters: expected at least 2, got 1$/,
      ],
      [
        { kind: "size", numClients: 3, sizes: [1, 2] },
        /^partition\.sizes: expected 3 sizes, as many as numClients, got 2$/,
      ],
      [{ kind: "size", sizes: "linear" }, /^partition\.numClients: expected a number, got nothing$/],
      [
        { kind: "size", numClients: 2, sizes: { alpha: -1 } },
        /^partition\.sizes\.alpha: expected more than 0, got -1$/,
      ],
      [
        { kind: "natural-id" },
        /^data\.columns\.key: expected the column of the keys that the partition "natural-id" needs, got nothing$/,
      ],
      [{ kind: "shard", numClients: 2, shardSize: 5, by: "keys" }, /^data\.columns\.key: .*"shard" needs/],
      [
        { kind: "continuous", numClients: 2, strictness: 1 },
        /^partition: "continuous" needs a value of each example: expected the task "regression"/,
      ],
    ] as const
  ) {
    const found = problemsOf(partition);
    assert.equal(found.length, problems.length, found.join("\n"));
    problems.forEach((problem, i) => assert.match(found[i]!, problem));
  }
});

test("parseConfig() refuses partitions by class for tasks without, unless keys or clusters stand for it", () => {
  const partition = { kind: "dirichlet", numClients: 2, alpha: 1 };
  const task = "regression";
  assert.match(
    problemsOf(partition, { task }).join("\n"),
    /^partition: regression has no one class .* as "dirichlet" needs: set by to "keys" or \{ "clusters": 10 \}, or expected the kind "iid" or /,
  );
  assert.deepEqual(problemsOf({ ...partition, by: { clusters: 3 } }, { task }), []);
  const data = { ...base.data, columns: { key: "k" } };
  assert.deepEqual(problemsOf({ ...partition, by: "keys" }, { task, data }), []);
  assert.match(
    problemsOf({ kind: "iid", numClients: 2, labelPermutation: true }, { task }).join("\n"),
    /^partition\.labelPermutation: permutes classes of examples: expected the task "sequence-classification", got "regression"$/,
  );
});

test("needsOf() says what stands for classes", () => {
  const needs = (by: "classes" | "keys" | { clusters: number }) =>
    needsOf(partitionConfig.parse({ kind: "pathological", numClients: 2, classesPerClient: 1, by }));
  assert.deepEqual(needs("classes"), ["labels"]);
  assert.deepEqual(needs("keys"), ["keys"]);
  assert.deepEqual(needs({ clusters: 2 }), ["embeddings"]);
});

test("describePartition() tells a kind and its options", () => {
  const describe = (input: PartitionConfigInput) => describePartition(partitionConfig.parse(input));
  assert.equal(describe({ kind: "natural-id" }), "natural-id");
  assert.equal(
    describe({ kind: "dirichlet", numClients: 3, alpha: 0.3, by: { clusters: 4 }, labelPermutation: true }),
    "dirichlet (numClients 3, alpha 0.3, minSize 1, by {clusters:4}, labelPermutation)",
  );
});
