import {
  type Embeddings,
  kMeans,
  labelPermutations,
  type Partition,
  type PartitionInput,
} from "../../data/mod.ts";
import { randomKey, RandomStream } from "../../engine/mod.ts";
import { needsOf, type PartitionConfig, partitionerOf } from "../config/partition_config.ts";
import { ConfigError } from "../config/parse_config.ts";
import { classOf, type Example } from "./load_data.ts";

/** Options of {@linkcode partitionExamples}. */
export interface PartitionExamplesOptions {
  /** Seed of every draw of the partition. */
  readonly seed: number;
  /** The classes of the task in their order. */
  readonly labels: readonly string[];
  /** Needed where {@linkcode needsEmbeddings} says so. */
  readonly embeddings?: Embeddings | undefined;
}

/** Who holds which examples, and what their classes mean there. */
export interface ExamplePartition extends Partition {
  /** For each client what it sees each class as, by its number; undefined if all see the same. */
  readonly labelPermutations?: readonly (readonly number[])[];
  /** The cluster of each example, where these stand for classes or are the clients. */
  readonly clusters?: Int32Array;
}

/** Whether a partition looks at the pretrained encoder's embeddings of examples, so that weights come before it. */
export function needsEmbeddings(partition: PartitionConfig): boolean {
  return needsOf(partition).includes("embeddings");
}

/**
 * Checks what can be checked of a partition by embeddings before there are any.
 *
 * @throws {ConfigError} when it asks for more clients or clusters than there are examples.
 */
export function checkCounts(partition: PartitionConfig, numExamples: number): void {
  const { by } = partition;
  const asked = {
    clients: "numClients" in partition ? partition.numClients : undefined,
    clusters: typeof by === "object" ? by.clusters : undefined,
  };
  for (const [what, count = 0] of Object.entries(asked)) {
    if (count <= numExamples) continue;
    throw new ConfigError(
      `Cannot partition (${partition.kind}): ${count} ${what} need at least 1 example each, got ${numExamples}`,
    );
  }
}

/**
 * Shares examples out among clients as a configuration says.
 *
 * @throws {ConfigError} when the partition needs something that the examples don't have.
 * @throws {RangeError} when the examples can't be shared out as its options ask.
 */
export function partitionExamples(
  examples: readonly Example[],
  config: PartitionConfig,
  { seed, labels, embeddings }: PartitionExamplesOptions,
): ExamplePartition {
  const { input, clusters } = inputOf(examples, config, { seed, labels, embeddings });
  const partition = partitionerOf(config).partition({ numExamples: examples.length, ...input }, { seed });
  const { clients } = partition;
  return {
    ...partition,
    ...(config.labelPermutation && {
      labelPermutations: labelPermutations({ numClients: clients.length, numClasses: labels.length, seed }),
    }),
    ...(needsEmbeddings(config) && { clusters: clusters ?? holderOf(clients, examples.length) }),
  };
}

/** The client of each example, all of which have one. */
function holderOf(clients: Partition["clients"], numExamples: number): Int32Array {
  const holders = new Int32Array(numExamples);
  for (const [k, indices] of clients.entries()) for (const i of indices) holders[i] = k;
  return holders;
}

function inputOf(
  examples: readonly Example[],
  config: PartitionConfig,
  { seed, labels, embeddings }: PartitionExamplesOptions,
): { readonly input: Partial<PartitionInput>; readonly clusters?: Int32Array } {
  const { by = "classes" } = config;
  const needs = needsOf(config);
  if (needs.includes("values")) return { input: { values: examples.map(valueOf) } };
  if (needs.includes("labels")) {
    return { input: { labels: examples.map((each) => classOf(each)!), classes: labels } };
  }
  if (needs.includes("keys")) {
    const keys = examples.map(keyOf);
    return { input: by === "keys" ? { labels: keys } : { keys } };
  }
  if (!needs.includes("embeddings") || embeddings === undefined) return { input: {} };
  if (typeof by === "string") return { input: { embeddings } };
  const stream = new RandomStream(randomKey(seed, "partition clusters"));
  const { labels: clusters } = kMeans(embeddings, { numClusters: by.clusters, stream });
  return { input: { labels: clusters }, clusters };
}

function keyOf({ key }: Example): string {
  if (key === undefined) throw new ConfigError("Cannot partition by key: set data.columns.key");
  return key;
}

/** The one value of an example. */
export function valueOf(example: Example, index: number): number {
  const value = "value" in example ? example.value : undefined;
  if (typeof value === "number") return value;
  throw new ConfigError(
    `Cannot partition by value: expected one value of each example, got ${
      value === undefined ? "none" : value.length
    } of example ${index}`,
  );
}
