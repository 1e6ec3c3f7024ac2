import { clone, type Gpu } from "../../engine/mod.ts";
import { isHead, methods, simulate, type SimulationEvent, type SimulationOptions } from "../../fl/mod.ts";
import type { Backbone } from "../../models/mod.ts";
import { matchLinears } from "../../federa/mod.ts";
import { rowsOf, type Task, TaskModel, type TaskSet } from "../../tasks/mod.ts";
import { type Config, type MethodConfig, methodLabel } from "../config/config.ts";
import { roundSchedule } from "./learning_rate.ts";
import { type Example, loadData, type LoadOptions } from "../data/load_data.ts";
import { type LoadedModel, openModel } from "../model/load_model.ts";
import { checkTuning, withDefaultThreshold } from "../model/no_answer.ts";
import { partitionExamples } from "../data/partition_examples.ts";
import { prepareAnswers, prepareTraining } from "../data/prepare_set.ts";
import { describeChoice } from "../config/describe_choice.ts";
import { ConfigError } from "../config/parse_config.ts";
import { buildTask } from "../model/build_task.ts";

/** What the methods of a run have in common. */
export interface Experiment {
  /** With the pooling that was chosen. */
  readonly config: Config;
  readonly gpu: Gpu;
  /** What the pretrained encoder was loaded from. */
  readonly model: LoadedModel;
  /** The pretrained encoder under a new head; every method starts from it and leaves it alone. */
  readonly pretrained: TaskModel;
  readonly train: TaskSet;
  /** The examples that `evaluateOn` names. */
  readonly test: TaskSet;
  /** The validation part, if something is tuned on it after training. */
  readonly tuning: TaskSet | undefined;
  /** Each client's rows of `train`. */
  readonly clients: readonly (readonly number[])[];
  /** The score that counts as reached. */
  readonly target: { readonly metric: string; readonly value: number } | undefined;
}

/**
 * Loads what a configuration names: examples, partition, tokens, weights. The weights come last, after every check that
 * doesn't need them.
 *
 * @throws {ConfigError} when the target is no score of the task, texts are to be longer than the encoder reads, or a
 *   method doesn't fit the model.
 * @throws {RangeError} when labels, partition and examples don't fit together.
 * @throws as {@linkcode loadData} and {@linkcode openModel}.
 */
export async function prepareExperiment(given: Config, gpu: Gpu, options: LoadOptions): Promise<Experiment> {
  const { reporter } = options;
  reporter.progress("reading examples", 0, 0);
  const { labels, train, validation, test } = await loadData(given, options);
  const config = { ...given, task: withDefaultThreshold(given.task, [...train, ...test], { reporter }) };
  const isTuned = "noAnswerThreshold" in config.task && config.task.noAnswerThreshold === "tune";
  if (isTuned) checkTuning(validation, "the validation part");
  const task = buildTask(config.task, labels);
  const target = targetOf(config, task);
  const { seed } = config;
  const share = (examples: readonly Example[]) =>
    partitionExamples(examples, config.partition, { seed, labels }).clients;
  const parts = share(train);
  const { clientsPerRound = parts.length } = config;
  if (clientsPerRound > parts.length) {
    throw new ConfigError(
      `Cannot sample ${clientsPerRound} clients a round: there are ${parts.length}; lower clientsPerRound`,
    );
  }
  reporter.progress("opening the model", 0, 0);
  const opened = await openModel(gpu, config, { ...options, choosesPooling: !task.perToken });
  gpu.rehearse(() => {
    const encoder = opened.skeleton();
    checkLength(config, opened.source, encoder);
    checkMethods(config, TaskModel.create(gpu, encoder, { task, seed }));
  });
  const tokenizer = await opened.tokenizer();
  reporter.progress("reading tokens", 0, 0);
  const prepared = { tokenizer, reporter, maxLength: config.maxLength };
  const { set: rows, examples } = prepareTraining(task, train, prepared);
  const testRows = prepareAnswers(task, test, { ...prepared, what: `texts to ${config.evaluateOn} on` });
  const tuning = isTuned ? prepareAnswers(task, validation, prepared) : undefined;
  const ofClients = examples.length === train.length ? parts : share(examples);
  const clients = ofClients.map((examples) => rowsOf(rows, examples));
  reporter.progress("loading weights", 0, 0);
  const model = await opened.load();
  reporter.endProgress();
  const pretrained = TaskModel.create(gpu, model.encoder, { task, seed });
  checkMethods(config, pretrained);
  const { pooling } = model;
  const resolved = pooling === undefined || task.perToken
    ? config
    : { ...config, model: { ...config.model, pooling } };
  return { config: resolved, gpu, model, pretrained, train: rows, test: testRows, tuning, clients, target };
}

function checkLength({ maxLength }: Config, source: string, { maxTokens }: Backbone): void {
  if (maxLength <= maxTokens) return;
  throw new ConfigError(
    `Cannot use texts of ${maxLength} tokens with ${source}: it reads at most ${maxTokens}; lower maxLength`,
  );
}

/** @throws {ConfigError} naming every method that doesn't fit the model. */
function checkMethods({ methods: chosen, seed }: Config, pretrained: TaskModel): void {
  const problems = chosen.flatMap((method) => {
    const { rank, alpha, svd, targets = pretrained.encoder.adapterTargets } = method;
    try {
      matchLinears(pretrained, targets);
      methods.get(method.method)!.check(pretrained, { targets, rank, alpha, svd, seed });
      return [];
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return [`method "${methodLabel(method)}": ${error.message}`];
    }
  });
  if (problems.length === 1) throw new ConfigError(`Cannot run ${problems[0]}`);
  if (problems.length > 1) throw new ConfigError(`Cannot run the methods:\n  ${problems.join("\n  ")}`);
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
