import { disposeAll, type Gpu } from "../../engine/mod.ts";
import type { Backbone } from "../../models/mod.ts";
import { type Task, TaskModel, type TaskSet } from "../../tasks/mod.ts";
import type { Config } from "../config/config.ts";
import { describeChoice } from "../config/describe_choice.ts";
import { ConfigError } from "../config/parse_config.ts";
import { checkPrivacyPlan } from "../config/privacy_config.ts";
import { type Draw, drawPartitions, openDraw } from "../data/draws.ts";
import { type Example, loadData, type LoadOptions } from "../data/load_data.ts";
import { checkCounts, type ExamplePartition, needsEmbeddings } from "../data/partition_examples.ts";
import { prepareAnswers, prepareTraining } from "../data/prepare_set.ts";
import { buildTask } from "../model/build_task.ts";
import { clusterTests } from "../model/cluster_tests.ts";
import { embedTexts } from "../model/embed_texts.ts";
import { type LoadedModel, openModel } from "../model/load_model.ts";
import { checkTuning, withDefaultThreshold } from "../model/no_answer.ts";
import { checkMethods } from "./check_methods.ts";
import { replicatesOf } from "./replicate.ts";

/** What all runs of a configuration share. */
export interface Preparation {
  /** The configuration, with the pooling that was chosen. */
  readonly config: Config;
  readonly gpu: Gpu;
  /** The pretrained encoder and what it was loaded from. */
  readonly model: LoadedModel;
  readonly task: Task;
  readonly train: TaskSet;
  /** The examples that `evaluateOn` names. */
  readonly test: TaskSet;
  /** The validation part, if something is tuned on it after training. */
  readonly tuning: TaskSet | undefined;
  /** What each client trains on and is tested on, by the seed of the draw. */
  readonly draws: ReadonlyMap<number, Draw>;
  /** The score that counts as reached. */
  readonly target:
    | { readonly metric: string; readonly value: number; readonly lowerIsBetter?: boolean }
    | undefined;
}

/**
 * Loads what a configuration names: examples, partitions, tokens, weights. The weights come last, after every check that
 * doesn't need them.
 *
 * @throws {ConfigError} when the target is no score of the task, texts are to be longer than the encoder reads, a method doesn't
 *   fit the model, or all draws are the same.
 * @throws {RangeError} when labels, partition and examples don't fit together.
 * @throws as {@linkcode loadData} and {@linkcode openModel}.
 */
export async function prepare(given: Config, gpu: Gpu, options: LoadOptions): Promise<Preparation> {
  const { reporter } = options;
  reporter.progress("reading examples", 0, 0);
  const { labels, train, validation, test } = await loadData(given, options);
  const config = { ...given, task: withDefaultThreshold(given.task, [...train, ...test], { reporter }) };
  const isTuned = "noAnswerThreshold" in config.task && config.task.noAnswerThreshold === "tune";
  if (isTuned) checkTuning(validation, "the validation part");
  const task = buildTask(config.task, labels);
  const target = targetOf(config, task);
  const drawing = { seeds: replicatesOf(config).map(({ draw }) => draw), labels };
  const embeds = needsEmbeddings(config.partition);
  if (embeds) checkCounts(config.partition, train.length);
  const early = embeds ? undefined : drawPartitions(train, config, drawing);
  checkSampling(config, early);
  reporter.progress("opening the model", 0, 0);
  const opened = await openModel(gpu, config, { ...options, choosesPooling: !task.perToken });
  gpu.rehearse(() => {
    const encoder = opened.skeleton();
    checkLength(config, opened.source, encoder);
    checkMethods(config, TaskModel.create(gpu, encoder, { task, seed: config.seed }));
  });
  const tokenizer = await opened.tokenizer();
  reporter.progress("reading tokens", 0, 0);
  const prepared = { tokenizer, reporter, maxLength: config.maxLength };
  const { set: rows, examples } = prepareTraining(task, train, prepared);
  const testRows = prepareAnswers(task, test, { ...prepared, what: `texts to ${config.evaluateOn} on` });
  const tuning = isTuned ? prepareAnswers(task, validation, prepared) : undefined;
  const unskipped = embeds || examples.length === train.length
    ? early
    : drawPartitions(examples, config, drawing);
  checkSampling(config, unskipped);
  reporter.progress("loading weights", 0, 0);
  const model = await opened.load();
  reporter.endProgress();
  const testsClients = config.clientScores || config.partition.labelPermutation;
  const prepareTest = (of: readonly Example[]) =>
    task.prepare(of, tokenizer, { maxLength: config.maxLength, longQuestions: "skip" });
  const { partitions, clusterTest } = unskipped
    ? { partitions: unskipped }
    : await orDispose(model.encoder, async () => {
      const embeddings = await embedTexts(model.encoder, rows, reporter);
      const partitions = drawPartitions(examples, config, { ...drawing, embeddings });
      checkSampling(config, partitions);
      if (!testsClients) return { partitions };
      const tests = { embeddings, test: testRows, tested: test, prepareTest, reporter };
      return { partitions, clusterTest: await clusterTests(model.encoder, tests) };
    });
  const sets = {
    train: rows,
    test: testRows,
    examples,
    tested: test,
    ...(testsClients && { prepareTest, clusterTest }),
  };
  const draws = new Map(
    Array.from(
      partitions,
      ([seed, partition]) => [seed, openDraw(partition, { partition: config.partition, seed }, sets)],
    ),
  );
  const first = TaskModel.create(gpu, model.encoder, { task, seed: config.seed });
  checkMethods(config, first);
  disposeHead(first);
  const { pooling } = model;
  const resolved = pooling === undefined || task.perToken
    ? config
    : { ...config, model: { ...config.model, pooling } };
  return { config: resolved, gpu, model, task, train: rows, test: testRows, tuning, draws, target };
}

/** Does work with an encoder and frees the encoder if that fails. */
async function orDispose<T>(encoder: Backbone, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    disposeAll([...encoder.namedParameters()].map(([, parameter]) => parameter));
    throw error;
  }
}

/** Frees the head of a model, whose encoder others use. */
export function disposeHead({ head }: TaskModel): void {
  disposeAll([...head.namedParameters()].map(([, parameter]) => parameter));
}

/** Checks that a round can sample as many clients as it should; before the partition is known, by the number that it asks for. */
function checkSampling(
  config: Config,
  draws?: ReadonlyMap<number, ExamplePartition>,
): void {
  const { clientsPerRound = 1, partition } = config;
  const asked = "numClients" in partition ? partition.numClients : undefined;
  const found = draws === undefined
    ? [asked ?? Infinity]
    : Array.from(draws.values(), ({ clients }) => clients.length);
  for (const length of found) {
    if (clientsPerRound <= length) {
      checkPrivacy(config, length);
      continue;
    }
    throw new ConfigError(
      `Cannot sample ${clientsPerRound} clients a round: there are ${length}; lower clientsPerRound`,
    );
  }
}

/** Checks that each method's noise and budget go together, with so many clients. */
function checkPrivacy({ methods, clientsPerRound, rounds }: Config, numClients: number): void {
  for (const { method: name, privacy } of numClients === Infinity ? [] : methods) {
    try {
      checkPrivacyPlan(privacy, { name, numClients, clientsPerRound, rounds });
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      throw new ConfigError(error.message);
    }
  }
}

function checkLength({ maxLength }: Config, source: string, { maxTokens }: Backbone): void {
  if (maxLength <= maxTokens) return;
  throw new ConfigError(
    `Cannot use texts of ${maxLength} tokens with ${source}: it reads at most ${maxTokens}; lower maxLength`,
  );
}

function targetOf(
  { target }: Config,
  { metrics, kind, lowerIsBetter = [] }: Task,
): Preparation["target"] {
  if (target === undefined) return undefined;
  const { metric = metrics[0]!, value } = target;
  if (metrics.includes(metric)) {
    return { metric, value, ...(lowerIsBetter.includes(metric) && { lowerIsBetter: true }) };
  }
  throw new ConfigError(`Cannot use target.metric for ${kind}: ${describeChoice(metrics, metric)}`);
}
