import type { Gpu } from "../../engine/mod.ts";
import {
  createCodec,
  measures,
  simulate,
  type SimulationEvent,
  type SimulationOptions,
} from "../../fl/mod.ts";
import { TaskModel } from "../../tasks/mod.ts";
import { createAggregator } from "../config/aggregator_config.ts";
import { chooseAsynchrony } from "../config/asynchrony_config.ts";
import { createAttackers } from "../config/attackers_config.ts";
import type { Config, MethodConfig } from "../config/config.ts";
import type { LoadOptions } from "../data/load_data.ts";
import { chooseSecureAggregation } from "../config/secure_aggregation_config.ts";
import { createMethod } from "../config/method_config.ts";
import { samplingOf } from "../config/privacy_config.ts";
import type { Draw } from "../data/draws.ts";
import { roundSchedule } from "./learning_rate.ts";
import { disposeHead, type Preparation, prepare } from "./prepare.ts";
import { type Replicate, replicatesOf } from "./replicate.ts";

/** What all methods share in one replicate. */
export interface Experiment extends Omit<Preparation, "task" | "draws" | "train" | "test">, Draw, Replicate {
  /** The pretrained encoder under a new head; every method starts from it and doesn't change it. */
  readonly pretrained: TaskModel;
  /** Frees the head; the encoder stays for other replicates. */
  [Symbol.dispose](): void;
}

/**
 * Returns what all methods start from in one replicate.
 *
 * @throws {RangeError} when the preparation has no such draw.
 */
export function openExperiment(preparation: Preparation, { draw, seed }: Replicate): Experiment {
  const { task, draws, ...shared } = preparation;
  const drawn = draws.get(draw);
  if (drawn === undefined) {
    throw new RangeError(`Cannot open draw ${draw}: expected one of ${[...draws.keys()].join(", ")}`);
  }
  const pretrained = TaskModel.create(shared.gpu, shared.model.encoder, { task, seed });
  return { ...shared, ...drawn, draw, seed, pretrained, [Symbol.dispose]: () => disposeHead(pretrained) };
}

/**
 * Loads what a configuration names, for its first replicate.
 *
 * @throws as {@linkcode prepare}.
 */
export async function prepareExperiment(config: Config, gpu: Gpu, options: LoadOptions): Promise<Experiment> {
  return openExperiment(await prepare(config, gpu, options), replicatesOf(config)[0]!);
}

/** Simulates one method of a run; a state to resume is taken over. */
export function simulateMethod(
  experiment: Experiment,
  method: MethodConfig,
  more: Partial<Pick<SimulationOptions, "resume" | "rounds" | "shouldStop" | "store" | "trainers">> = {},
): AsyncGenerator<SimulationEvent> {
  return simulate(experiment.pretrained, { ...simulationOptions(experiment, method), ...more });
}

/** What of an experiment the options of its simulation follow from. */
export type SimulatedExperiment = Pick<
  Experiment,
  "config" | "train" | "test" | "testClients" | "clients" | "seed"
>;

/** The options of {@linkcode simulate} for one method of a run. */
export function simulationOptions(experiment: SimulatedExperiment, method: MethodConfig): SimulationOptions {
  const { config, train, test, testClients, clients, seed } = experiment;
  const { clipNorm, clientsPerRound = clients.length, local } = config;
  return {
    method: createMethod(method),
    sampling: samplingOf(method.privacy),
    codec: createCodec(config.codec),
    ...(config.attackers && { attackers: createAttackers(config.attackers) }),
    aggregator: createAggregator(method.aggregator ?? config.aggregator),
    secureAggregation: chooseSecureAggregation(method.secureAggregation, config.secureAggregation),
    asynchrony: chooseAsynchrony(method.asynchrony, config.asynchrony),
    measures: config.measures.map((name) => measures.get(name)!),
    train,
    test,
    testClients,
    clients,
    rounds: config.rounds,
    clientsPerRound,
    blockSize: config.blockSize,
    maxGpuBytes: config.maxGpuBytes,
    checkpointing: config.checkpointing,
    work: local.steps === undefined ? { epochs: local.epochs! } : { steps: local.steps },
    batchSize: config.batchSize,
    optimizer: config.optimizer,
    learningRate: roundSchedule(method.learningRate, config),
    clipNorm,
    evaluateEvery: config.evaluateEvery === 0 ? config.rounds + 1 : config.evaluateEvery,
    seed,
  };
}
