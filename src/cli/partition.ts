import { writeFileAtomic } from "../data/mod.ts";
import type { Config } from "../experiment/config/config.ts";
import { ConfigError } from "../experiment/config/parse_config.ts";
import type { LoadOptions } from "../experiment/data/load_data.ts";
import { openTunedGpu } from "../experiment/gpu/open_tuned_gpu.ts";
import { describePartition } from "../experiment/partition/describe_partition.ts";
import { describeSkew } from "../experiment/partition/describe_skew.ts";
import { partitionChart, type PartitionChartKind } from "../experiment/partition/partition_chart.ts";
import { preparePartition } from "../experiment/partition/prepare_partition.ts";
import { summarizePartition } from "../experiment/partition/summarize_partition.ts";
import { replicatesOf } from "../experiment/run/replicate.ts";
import { partitionTable } from "./tables/partition_table.ts";
import { print, printJson } from "./terminal/print.ts";

/** Options of {@linkcode partition}. */
export interface PartitionCommandOptions extends LoadOptions {
  /** Seed of the draw; the configuration's first by default. */
  readonly draw?: number | undefined;
  /** Path of the SVG image to write. */
  readonly output?: string | undefined;
  /** How the image is drawn; by default as suits the number of classes. */
  readonly chart?: PartitionChartKind | undefined;
  readonly json?: boolean | undefined;
}

/**
 * Prints who holds what by the partition of a configuration, and draws it.
 *
 * @throws as {@linkcode preparePartition}, and {@link WriteError} if the image can't be written.
 */
export async function partition(config: Config, options: PartitionCommandOptions): Promise<void> {
  const { reporter, draw: seed = replicatesOf(config)[0]!.draw, output, chart, json } = options;
  const { kind } = config.task;
  const { labels, examples, partition } = await preparePartition(config, {
    ...options,
    seed,
    openGpu: () => openTunedGpu(reporter),
  });
  reporter.endProgress();
  const summary = summarizePartition(examples, partition, { kind, labels });
  if (chart === "bubbles" && summary.classes.length === 0) {
    throw new ConfigError(`Cannot draw bubbles: ${kind} has no classes; draw bars`);
  }
  const how = describePartition(config.partition);
  if (output !== undefined) {
    const title = `${config.name}: ${how}, draw ${seed}`;
    await writeFileAtomic(output, partitionChart(summary, { title, kind: chart }));
  }
  if (json) {
    printJson({
      name: config.name,
      draw: seed,
      partition: config.partition,
      classes: summary.classes,
      numExamples: summary.numExamples,
      numLeftOut: summary.numLeftOut,
      skew: summary.skew,
      clients: summary.clients.map((client, k) => ({
        ...client,
        examples: partition.clients[k],
        ...(partition.labelPermutations && { labelPermutation: partition.labelPermutations[k] }),
      })),
      leftOut: partition.leftOut,
    });
    return;
  }
  print(`\nPartition: ${how}, draw ${seed}\n`);
  print(`${partitionTable(summary)}\n`);
  for (const line of describeSkew(summary)) print(line);
  if (partition.labelPermutations) print("Each client sees the classes through a permutation of its own");
  if (output !== undefined) print(`\nThe drawing is in ${output}`);
}
