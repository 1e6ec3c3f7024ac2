import { drawAttackers, type SimulationOptions } from "../../fl/mod.ts";
import type { MethodConfig } from "../config/config.ts";
import { type Experiment, simulateMethod } from "./experiment.ts";
import { type MethodOutcome, recordRun, type RecordRunOptions } from "./record_run.ts";

/** Options of {@linkcode runMethod}. */
export interface RunMethodOptions extends RecordRunOptions {
  /** Who trains in place of this process; see {@linkcode SimulationOptions}. */
  readonly trainers?:
    | ((experiment: Experiment, method: MethodConfig) => SimulationOptions["trainers"])
    | undefined;
}

/**
 * Runs one method of an experiment and leaves what {@linkcode recordRun} leaves in its folder.
 *
 * @throws {WriteError} when its folder can't be made, or no history begun.
 */
export async function runMethod(
  experiment: Experiment,
  method: MethodConfig,
  options: RunMethodOptions,
): Promise<MethodOutcome> {
  const { config, train, test, clients, draw, seed, model: { source } } = experiment;
  return await recordRun(
    {
      ...experiment,
      source,
      numClients: clients.length,
      header: {
        config,
        method,
        draw,
        seed,
        numTrain: train.numExamples,
        numTest: test.numExamples,
        clientSizes: clients.map(({ length }) => length),
        ...(config.attackers && {
          attackers: drawAttackers({ share: config.attackers.share, numClients: clients.length, seed }),
        }),
      },
      play: (more) =>
        simulateMethod(experiment, method, { ...more, trainers: options.trainers?.(experiment, method) }),
    },
    method,
    options,
  );
}
