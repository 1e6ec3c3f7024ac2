import { disposeAll, randomKey, RandomStream } from "../../engine/mod.ts";
import { planMemory, trainableParameters } from "../../fl/mod.ts";
import { packBatches, planBatches, trainBlock } from "../../tasks/mod.ts";
import type { MethodConfig } from "../config/config.ts";
import { type Experiment, simulationOptions } from "./experiment.ts";

/** Options of {@linkcode trainFirstCohort}. */
export interface FirstCohortOptions {
  readonly steps: number;
  /** Called after each step is recorded. */
  readonly onStep?: ((done: number) => void) | undefined;
}

/**
 * Trains the first cohort of a method's first round for some steps and throws the result away.
 *
 * @returns the number of clients in it.
 */
export async function trainFirstCohort(
  experiment: Experiment,
  method: MethodConfig,
  { steps, onStep }: FirstCohortOptions,
): Promise<number> {
  const options = simulationOptions(experiment, method);
  const { clients, clientsPerRound = clients.length, seed, train, batchSize } = options;
  const { pretrained } = experiment;
  const state = await options.method.init(pretrained, { ...options, svd: method.svd });
  const { cohortSize } = planMemory(pretrained, state, options);
  const cohort = new RandomStream(randomKey(seed, "participants", 1))
    .sampleWithoutReplacement(clients.length, clientsPerRound).sort((a, b) => a - b).slice(0, cohortSize);
  const plans = cohort.map((client) =>
    planBatches(clients[client]!, { ...options, work: { steps }, round: 1, client })
  );
  const learningRate = typeof options.learningRate === "number"
    ? options.learningRate
    : options.learningRate(0);
  const { losses, values } = await trainBlock(
    state.model,
    trainableParameters(state.model, options.method.trainable),
    { ...options, learningRate, batches: packBatches(train, plans, batchSize), onStep },
  );
  losses.dispose();
  disposeAll(values.values());
  return cohort.length;
}
