import { clone, type Gpu } from "../engine/mod.ts";
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
import type { Tokenizer } from "../models/mod.ts";
import { rowsOf, type Task, TaskModel, type TaskSet } from "../tasks/mod.ts";
import type { Config, MethodConfig } from "./config/config.ts";
import { roundSchedule } from "./learning_rate.ts";
import { classOf, type Example, loadData, type LoadOptions } from "./load_data.ts";
import { type LoadedModel, loadModel } from "./load_model.ts";
import { describeChoice } from "./config/describe_choice.ts";
import { ConfigError } from "./config/parse_config.ts";
import { buildTask } from "./build_task.ts";

/** What the methods of a run have in common. */
export interface Experiment {
  readonly config: Config;
  readonly gpu: Gpu;
  /** What the pretrained encoder was loaded from. */
  readonly model: LoadedModel;
  /** The pretrained encoder under a new head; every method starts from it and leaves it alone. */
  readonly pretrained: TaskModel;
  readonly train: TaskSet;
  /** The examples that `evaluateOn` names. */
  readonly test: TaskSet;
  /** Each client's rows of `train`. */
  readonly clients: readonly (readonly number[])[];
  /** The score that counts as reached. */
  readonly target: { readonly metric: string; readonly value: number } | undefined;
}

/**
 * Loads what a configuration names: weights, examples, tokens, partition.
 *
 * @throws {ConfigError} when the target is no score of the task, or texts are to be longer than the encoder reads.
 * @throws {RangeError} when labels, partition and examples don't fit together.
 * @throws as {@linkcode loadData} and {@linkcode loadModel}.
 */
export async function prepareExperiment(config: Config, gpu: Gpu, options: LoadOptions): Promise<Experiment> {
  const { labels, train, test } = await loadData(config, options);
  const task = buildTask(config.task, labels);
  const target = targetOf(config, task);
  const model = await loadModel(gpu, config, options);
  const { encoder: { maxTokens }, tokenizer } = model;
  if (config.maxLength > maxTokens) {
    throw new ConfigError(
      `Cannot give ${model.source} texts of ${config.maxLength} tokens: it reads ${maxTokens}; lower maxLength`,
    );
  }
  const rows = task.prepare(train, tokenizer as Tokenizer, config);
  return {
    config,
    gpu,
    model,
    pretrained: TaskModel.create(gpu, model.encoder, { task, seed: config.seed }),
    train: rows,
    test: task.prepare(test, tokenizer, config),
    clients: partition(train, config).map((examples) => rowsOf(rows, examples)),
    target,
  };
}

function targetOf({ target }: Config, { metrics, kind }: Task): Experiment["target"] {
  if (target === undefined) return undefined;
  const { metric = metrics[0]!, value } = target;
  if (metrics.includes(metric)) return { metric, value };
  throw new ConfigError(`Cannot use target.metric for ${kind}: ${describeChoice(metrics, metric)}`);
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
  const { config, pretrained, train, test, clients } = experiment;
  const { clipNorm, clientsPerRound = clients.length, local } = config;
  return {
    method: methods.get(method.method)!,
    targets: method.targets ?? pretrained.encoder.adapterTargets,
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

/** Each client's examples. */
function partition(examples: readonly Example[], { partition, seed }: Config): number[][] {
  switch (partition.kind) {
    case "iid":
      return partitionIid(examples.length, { ...partition, seed });
    case "dirichlet":
      return partitionDirichlet(examples.map((example) => classOf(example)!), { ...partition, seed });
    case "by-key":
      return partitionByKey(examples.map(({ key }) => {
        if (key === undefined) throw new ConfigError("Cannot partition by key: set data.columns.key");
        return key;
      }));
  }
}
