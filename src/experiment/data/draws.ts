import { type Embeddings, type Partition, shareAlike } from "../../data/mod.ts";
import { permuteClasses, type TaskSet } from "../../tasks/mod.ts";
import type { Config } from "../config/config.ts";
import { ConfigError } from "../config/parse_config.ts";
import type { Example } from "./load_data.ts";
import { type ExamplePartition, partitionExamples } from "./partition_examples.ts";
import { strataOf } from "./strata.ts";

/** One draw of a partition: what each client trains on and is tested on. */
export interface Draw {
  /** What clients train on; with the classes as each client sees them, where these are permuted. */
  readonly train: TaskSet;
  /** What is evaluated on, as `train`. */
  readonly test: TaskSet;
  /** Each client's examples of `train`. */
  readonly clients: readonly (readonly number[])[];
  /** Each client's own part of `test`, shared out like what it trains on, undefined of one that gets none; if clients are tested. */
  readonly testClients?: readonly (TaskSet | undefined)[] | undefined;
  /** Training examples that no client holds. */
  readonly numLeftOut: number;
  /** For each client what it sees each class as; undefined if all see the same. */
  readonly labelPermutations?: readonly (readonly number[])[] | undefined;
}

/** Options of {@linkcode drawPartitions}. */
export interface DrawPartitionsOptions {
  /** Seeds of the draws. */
  readonly seeds: Iterable<number>;
  /** Names of the task's outputs. */
  readonly labels: readonly string[];
  readonly embeddings?: Embeddings | undefined;
}

/**
 * Partitions of examples, by the seed of the draw.
 *
 * @throws {ConfigError} when there are several draws, but all are the same.
 * @throws as {@linkcode partitionExamples}.
 */
export function drawPartitions(
  examples: readonly Example[],
  { partition }: Pick<Config, "partition">,
  { seeds, labels, embeddings }: DrawPartitionsOptions,
): Map<number, ExamplePartition> {
  const draws = new Map(
    Array.from(
      new Set(seeds),
      (seed) => [seed, partitionExamples(examples, partition, { seed, labels, embeddings })],
    ),
  );
  const texts = new Set([...draws.values()].map((each) => JSON.stringify(each)));
  if (draws.size > 1 && texts.size === 1) {
    throw new ConfigError(
      `Cannot compare ${draws.size} draws: partition.kind "${partition.kind}" gives every client the same examples in ` +
        "each; leave out draws",
    );
  }
  return draws;
}

/** What {@linkcode openDraw} applies a partition to. */
export interface DrawnSets {
  readonly train: TaskSet;
  readonly test: TaskSet;
  /** The examples of `train`. */
  readonly examples: readonly Example[];
  /** The examples of `test`. */
  readonly tested: readonly Example[];
  /** Makes a set of some of `tested`; undefined if clients aren't tested on their own. */
  readonly prepareTest?: ((examples: readonly Example[]) => TaskSet) | undefined;
  /** The cluster of each of `tested` by those of `examples`, -1 of one that has none. */
  readonly clusterTest?: ((clusters: Int32Array) => Int32Array) | undefined;
}

/**
 * What each client trains on and is tested on by a partition. Where clients see the classes permuted, a test example is seen as by the
 * client whose part it is in.
 */
export function openDraw(
  { clients, leftOut, labelPermutations, clusters }: ExamplePartition,
  { partition, seed }: { readonly partition: Config["partition"]; readonly seed: number },
  { train, test, examples, tested, prepareTest, clusterTest }: DrawnSets,
): Draw {
  const own = prepareTest || labelPermutations
    ? shareAlike(clients, strataOf(partition, { examples, tested, clusters, clusterTest }), { seed })
    : undefined;
  const permuted = (set: TaskSet, of: Partition["clients"]) =>
    labelPermutations ? permuteClasses(set, of, labelPermutations) : set;
  const testOf = (indices: readonly number[], client: number): TaskSet | undefined => {
    const set = prepareTest!(indices.map((i) => tested[i]!));
    const all = Array.from(indices, (_, i) => i);
    if (set.size === 0) return undefined;
    return labelPermutations ? permuteClasses(set, [all], [labelPermutations[client]!]) : set;
  };
  return {
    train: permuted(train, clients),
    test: own === undefined ? test : permuted(test, own),
    clients,
    testClients: prepareTest &&
      own!.map((indices, client) => indices.length === 0 ? undefined : testOf(indices, client)),
    numLeftOut: leftOut.length,
    labelPermutations,
  };
}
