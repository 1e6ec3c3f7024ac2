import { type Embeddings, nearestClusters } from "../../data/mod.ts";
import type { Backbone } from "../../models/mod.ts";
import type { TaskSet } from "../../tasks/mod.ts";
import type { Example } from "../data/load_data.ts";
import type { Reporter } from "../report/reporter.ts";
import { embedTexts } from "./embed_texts.ts";

/** Options of {@linkcode clusterTests}. */
export interface ClusterTestsOptions {
  /** Of the examples to train on. */
  readonly embeddings: Embeddings;
  readonly test: TaskSet;
  /** The examples of `test`. */
  readonly tested: readonly Example[];
  /** Makes a set of some of `tested`. */
  readonly prepareTest: (examples: readonly Example[]) => TaskSet;
  readonly reporter: Reporter;
}

/**
 * Embeds the test examples and finds the cluster of each among those of the training examples; -1 of an example without a row,
 * as of a question that leaves no room for its context.
 */
export async function clusterTests(
  encoder: Backbone,
  { embeddings, test, tested, prepareTest, reporter }: ClusterTestsOptions,
): Promise<(clusters: Int32Array) => Int32Array> {
  const { firstRows } = test;
  const kept = [...tested.keys()].filter((i) => firstRows[i]! < firstRows[i + 1]!);
  const set = kept.length === tested.length ? test : prepareTest(kept.map((i) => tested[i]!));
  const embedded = await embedTexts(encoder, set, reporter);
  return (clusters) => {
    const all = new Int32Array(tested.length).fill(-1);
    const nearest = nearestClusters(embeddings, clusters, embedded);
    for (const [i, example] of kept.entries()) all[example] = nearest[i]!;
    return all;
  };
}
