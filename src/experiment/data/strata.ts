import type { ShareAlikeInput } from "../../data/mod.ts";
import { needsOf, type PartitionConfig } from "../config/partition_config.ts";
import { classOf, type Example } from "./load_data.ts";
import { valueOf } from "./partition_examples.ts";

/** What {@linkcode strataOf} looks at. */
export interface StratifiedExamples {
  /** What is trained on. */
  readonly examples: readonly Example[];
  /** What is tested on. */
  readonly tested: readonly Example[];
  /** The cluster of each of `examples`, if the partition is by clusters. */
  readonly clusters?: Int32Array | undefined;
  /** The cluster of each of `tested` by those of `examples`. */
  readonly clusterTest?: ((clusters: Int32Array) => Int32Array) | undefined;
}

/** Ranges of values that are kept apart. */
const RANGES = 10;

/**
 * What examples to train on and to test on belong to, so that clients are tested on what a partition gives them to train on: their keys,
 * their clusters or ranges of their values, if clients are made of these; else their classes, if they have any.
 */
export function strataOf(
  partition: PartitionConfig,
  { examples, tested, clusters, clusterTest }: StratifiedExamples,
): ShareAlikeInput {
  const needs = needsOf(partition);
  if (clusters && clusterTest) return { strata: clusters, others: clusterTest(clusters) };
  if (needs.includes("values")) {
    const values = examples.map(valueOf);
    const rangeOf = ranges(values);
    return { strata: values.map(rangeOf), others: tested.map(valueOf).map(rangeOf) };
  }
  const byKey = needs.includes("keys") && tested.every(({ key }) => key !== undefined);
  const stratum = (example: Example) => (byKey ? example.key : classOf(example)) ?? "";
  return { strata: examples.map(stratum), others: tested.map(stratum) };
}

/** Tells the number of the range that a value is in, of ranges that have equally many of some values. */
function ranges(values: readonly number[]): (value: number) => number {
  const sorted = values.toSorted((a, b) => a - b);
  const ends = Array.from(
    { length: RANGES - 1 },
    (_, i) => sorted[Math.floor((i + 1) * sorted.length / RANGES)]!,
  );
  return (value) => ends.filter((end) => value >= end).length;
}
