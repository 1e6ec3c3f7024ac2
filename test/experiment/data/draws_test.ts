import assert from "node:assert/strict";
import { test } from "node:test";
import { type Draw, drawPartitions, openDraw } from "../../../src/experiment/data/draws.ts";
import {
  partitionConfig,
  type PartitionConfigInput,
} from "../../../src/experiment/config/partition_config.ts";
import type { Example } from "../../../src/experiment/data/load_data.ts";
import { partitionExamples } from "../../../src/experiment/data/partition_examples.ts";
import { classification, type TaskSet } from "../../../src/tasks/mod.ts";
import { shareAlike } from "../../../src/data/mod.ts";
import { FakeTokenizer } from "../../support/fake_tokenizer.ts";

const labels = ["ham", "spam"];
const examplesOf = (length: number) =>
  Array.from({ length }, (_, i) => ({ text: "a", label: labels[i % 2]!, key: `sender ${i % 3}` }));
const [examples, tested] = [examplesOf(30), examplesOf(12)];
const setOf = (list: typeof examples) =>
  classification({ labels }).prepare(list, new FakeTokenizer(), { maxLength: 4 });
const prepareTest = (list: readonly Example[]) => setOf(list as typeof examples);
const sets = { train: setOf(examples), test: setOf(tested), examples, tested, prepareTest };
/** Numbers of the classes of tests. */
const classesOf = ({ testClients }: Draw) => testClients!.map((set) => set && [...set.targets]);
const parse = (input: PartitionConfigInput) => partitionConfig.parse(input);

test("drawPartitions() gives a partition for each seed, and refuses draws that are all the same", () => {
  const draws = drawPartitions(examples, { partition: parse({ kind: "iid", numClients: 3 }) }, {
    seeds: [4, 5, 4],
    labels,
  });
  assert.deepEqual([...draws.keys()], [4, 5]);
  assert.notDeepEqual(draws.get(4), draws.get(5));
  const partition = parse({ kind: "by-key" });
  assert.equal(drawPartitions(examples, { partition }, { seeds: [4], labels }).get(4)!.clients.length, 3);
  assert.throws(() => drawPartitions(examples, { partition }, { seeds: [4, 5], labels }), {
    name: "ConfigError",
    message: /Cannot compare 2 draws: .*"natural-id" gives every client the same examples/,
  });
  // Permutations differ where the examples don't.
  const permuted = parse({ kind: "by-key", labelPermutation: true });
  assert.equal(drawPartitions(examples, { partition: permuted }, { seeds: [1, 2, 3, 4], labels }).size, 4);
});

test("openDraw() tests clients on their own keys, or on classes like theirs", () => {
  const open = (input: PartitionConfigInput) => {
    const partition = parse(input);
    return openDraw(
      partitionExamples(examples, partition, { seed: 1, labels }),
      { partition, seed: 1 },
      sets,
    );
  };
  const byKey = open({ kind: "natural-id" });
  assert.deepEqual(classesOf(byKey), [[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1]]);
  assert.equal(byKey.train, sets.train);
  assert.equal(byKey.test, sets.test);
  assert.equal(byKey.labelPermutations, undefined);
  const byClass = open({
    kind: "pathological",
    numClients: 2,
    classesPerClient: 1,
    assignment: "deterministic",
  });
  assert.deepEqual(classesOf(byClass), [[0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]]);
  const many = open({ kind: "iid", numClients: 30 });
  assert.equal(classesOf(many).filter((classes) => classes === undefined).length, 18);
  const partly = open({ kind: "size", sizes: [10, 5] });
  assert.equal(partly.numLeftOut, 15);
});

test("openDraw() permutes the classes of what a client trains on and is tested on alike", () => {
  const partition = parse({ kind: "iid", numClients: 4, labelPermutation: true });
  const draw = openDraw(
    partitionExamples(examples, partition, { seed: 2, labels }),
    { partition, seed: 2 },
    sets,
  );
  const { labelPermutations, clients } = draw;
  assert.deepEqual(labelPermutations!.map(String).sort(), ["0,1", "0,1", "1,0", "1,0"]);
  const classes = (list: typeof examples) => list.map(({ label }) => label);
  const own = shareAlike(clients, { strata: classes(examples), others: classes(tested) }, { seed: 2 });
  for (const [k, permutation] of labelPermutations!.entries()) {
    const seenAs = (set: TaskSet, i: number) => permutation[set.targets[i]!];
    for (const i of clients[k]!) assert.equal(draw.train.targets[i], seenAs(sets.train, i));
    for (const i of own[k]!) assert.equal(draw.test.targets[i], seenAs(sets.test, i));
    assert.deepEqual(classesOf(draw)[k], own[k]!.map((i) => seenAs(sets.test, i)));
  }
  assert.notDeepEqual(draw.train.targets, sets.train.targets);
});

test("partitionExamples() partitions by classes, keys, values or clusters, as its options say", () => {
  const share = (input: PartitionConfigInput, given: readonly Example[] = examples, embeddings?: number[]) =>
    partitionExamples(given, parse(input), {
      seed: 1,
      labels,
      embeddings: embeddings && { data: embeddings, size: 1 },
    }).clients;
  const one = { kind: "pathological", classesPerClient: 1, assignment: "deterministic" } as const;
  const everyThird = [0, 1, 2].map((k) => examples.map((_, i) => i).filter((i) => i % 3 === k));
  assert.deepEqual(share({ ...one, numClients: 3, by: "keys" }), everyThird);
  assert.deepEqual(share({ ...one, numClients: 2 })[1]![0], 1);
  const embeddings = examples.map((_, i) => 100 * (i % 3) + i / 100);
  const clusters = share({ ...one, numClients: 3, by: { clusters: 3 } }, examples, embeddings);
  assert.deepEqual(clusters.toSorted((a, b) => a[0]! - b[0]!), everyThird);
  const direct = share({ kind: "embedding-clusters", numClients: 3 }, examples, embeddings);
  assert.deepEqual(direct.toSorted((a, b) => a[0]! - b[0]!), everyThird);
  const valued = [3, 1, 2, 4].map((value) => ({ text: "", value }));
  assert.deepEqual(share({ kind: "continuous", numClients: 2, strictness: 1 }, valued), [[1, 2], [0, 3]]);
  assert.throws(
    () => share({ kind: "continuous", numClients: 1, strictness: 1 }, [{ text: "", value: [1, 2] }]),
    {
      name: "ConfigError",
      message: "Cannot partition by value: expected one value of each example, got 2 of example 0",
    },
  );
  assert.throws(() => share({ kind: "natural-id" }, [{ text: "", label: "ham" }]), {
    name: "ConfigError",
    message: "Cannot partition by key: set data.columns.key",
  });
});

test("openDraw() tests clients on their own ranges of values", () => {
  const values = (length: number): Example[] =>
    Array.from({ length }, (_, i) => ({ text: "a", value: i, label: labels[i % 2]! }) as unknown as Example);
  const [trained, others] = [values(40), values(20)];
  const partition = parse({ kind: "continuous", numClients: 2, strictness: 1 });
  const { testClients } = openDraw(
    partitionExamples(trained, partition, { seed: 1, labels }),
    { partition, seed: 1 },
    {
      train: setOf(trained as never),
      test: setOf(others as never),
      examples: trained,
      tested: others,
      prepareTest,
    },
  );
  // Values to 19 are all the first client's.
  assert.deepEqual(testClients!.map((set) => set?.size), [20, undefined]);
});
