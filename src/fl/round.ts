import {
  constantSchedule,
  disposeAll,
  NonFiniteError,
  randomKey,
  RandomStream,
  tensor,
} from "../engine/mod.ts";
import { packBatches, planBatches, trainBlock } from "../tasks/mod.ts";
import type { FactorCovariance } from "./factor_covariance.ts";
import { type ServerState, trainableParameters } from "./method.ts";
import type { PhaseTimer } from "./_phase_timer.ts";
import type { SimulationOptions } from "./simulation_options.ts";
import { downloadBytes, uploadBytes } from "./traffic.ts";

/** Options of {@linkcode trainRound}. */
export interface RoundOptions extends SimulationOptions {
  /** The last round that each client took part in; 0 for never. */
  readonly lastRounds: number[];
  readonly covariance: FactorCovariance;
  readonly cohortSize: number;
  readonly round: number;
  readonly timer: PhaseTimer;
  readonly onProgress: (done: number, total: number) => void;
}

/** Broadcast, local training and aggregation of one round. */
export async function trainRound(state: ServerState, options: RoundOptions) {
  const {
    method,
    train,
    clients,
    clientsPerRound = clients.length,
    cohortSize,
    seed,
    round,
    lastRounds,
    covariance,
    timer,
    onProgress,
  } = options;
  const rate = typeof options.learningRate === "number"
    ? constantSchedule(options.learningRate)
    : options.learningRate;
  const participants = new RandomStream(randomKey(seed, "participants", round))
    .sampleWithoutReplacement(clients.length, clientsPerRound).sort((a, b) => a - b);
  const bytesDown = await downloadBytes(state, { method, participants, lastRounds });
  for (const client of participants) lastRounds[client] = round;
  timer.lap("broadcast");
  const start = trainableParameters(state.model, method.trainable);
  const numExamples = participants.reduce((total, client) => total + clients[client]!.length, 0);
  const aggregation = method.aggregate(state);
  const plans = participants.map((client) => planBatches(clients[client]!, { ...options, client }));
  const cohorts = chunk(participants.map((client, i) => ({ client, plan: plans[i]! })), cohortSize);
  const totalSteps = cohorts.reduce(
    (total, cohort) => total + cohort.reduce((most, { plan }) => Math.max(most, plan.length), 0),
    0,
  );
  let doneSteps = 0;
  let trainLoss = 0;
  let bytesUp = 0;
  try {
    for (const cohort of cohorts) {
      const batches = packBatches(train, cohort.map(({ plan }) => plan), options.batchSize);
      const result = await trainBlock(state.model, start, {
        ...options,
        batches,
        learningRate: rate(round - 1),
        onProgress: (done) => onProgress(doneSteps + done, totalSteps),
      });
      doneSteps += batches.steps;
      const members = cohort.map(({ client }) => client);
      const shares = members.map((client) => clients[client]!.length / numExamples);
      const weights = tensor(result.losses.gpu, shares);
      try {
        const losses = await result.losses.floats();
        members.forEach((client, i) => assertFinite(losses[i]!, client, round));
        // Client by client, so that the sum doesn't depend on the cohorts.
        trainLoss = shares.reduce((total, share, i) => total + share * losses[i]!, trainLoss);
        timer.lap("training");
        bytesUp += await uploadBytes(result.values, members);
        const update = { values: result.values, weights };
        covariance.add(update);
        aggregation.add(update);
      } finally {
        weights.dispose();
        result.losses.dispose();
        disposeAll(result.values.values());
      }
      timer.lap("aggregation");
    }
    await aggregation.finish();
  } finally {
    aggregation.dispose();
  }
  return { participants, trainLoss, bytesUp, bytesDown };
}

function chunk<T>(items: readonly T[], size: number): T[][] {
  const chunks: T[][] = [];
  for (let i = 0; i < items.length; i += size) chunks.push(items.slice(i, i + size));
  return chunks;
}

function assertFinite(loss: number, client: number, round: number): void {
  if (!Number.isFinite(loss)) {
    throw new NonFiniteError(
      `Cannot continue after round ${round}: the training loss of client ${client} is ${loss}; lower the learning rate or clip gradients`,
    );
  }
}
