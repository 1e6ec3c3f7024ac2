import type { Gpu } from "../../engine/mod.ts";

import type { Config } from "../config/config.ts";
import { type Example, loadData, type LoadOptions } from "../data/load_data.ts";
import {
  checkCounts,
  type ExamplePartition,
  needsEmbeddings,
  partitionExamples,
} from "../data/partition_examples.ts";
import { prepareTraining } from "../data/prepare_set.ts";
import { buildTask } from "../model/build_task.ts";
import { embedTexts } from "../model/embed_texts.ts";
import { openModel } from "../model/load_model.ts";

/** Options of {@linkcode preparePartition}. */
export interface PreparePartitionOptions extends LoadOptions {
  /** Seed of the draw. */
  readonly seed: number;
  /** Opens the device, if the partition needs the model; it is closed afterwards. */
  openGpu(): Promise<Gpu>;
}

/** A partition and what was shared out. */
export interface PreparedPartition {
  /** Names of the task's outputs, in their order. */
  readonly labels: readonly string[];
  /** What a run would train on. */
  readonly examples: readonly Example[];
  readonly partition: ExamplePartition;
}

/**
 * Shares the training examples of a configuration out as a run of it does. The model is opened only if the partition looks at
 * embeddings, or if questions may be left out because they leave no room for their contexts.
 *
 * @throws as {@linkcode loadData}, {@linkcode partitionExamples} and {@linkcode openModel}.
 */
export async function preparePartition(
  config: Config,
  options: PreparePartitionOptions,
): Promise<PreparedPartition> {
  const { reporter, seed, openGpu } = options;
  reporter.progress("reading examples", 0, 0);
  const { labels, train } = await loadData(config, options);
  const embeds = needsEmbeddings(config.partition);
  if (!embeds && config.task.kind !== "question-answering") {
    return {
      labels,
      examples: train,
      partition: partitionExamples(train, config.partition, { seed, labels }),
    };
  }
  if (embeds) checkCounts(config.partition, train.length);
  using gpu = await openGpu();
  reporter.progress("opening the model", 0, 0);
  const opened = await openModel(gpu, config, options);
  reporter.progress("reading tokens", 0, 0);
  const { maxLength } = config;
  const task = buildTask(config.task, labels);
  const { set, examples } = prepareTraining(task, train, {
    tokenizer: await opened.tokenizer(),
    reporter,
    maxLength,
  });
  const embeddings = embeds ? await embedTexts((await opened.load()).encoder, set, reporter) : undefined;
  return {
    labels,
    examples,
    partition: partitionExamples(examples, config.partition, { seed, labels, embeddings }),
  };
}
