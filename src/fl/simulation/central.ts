import { rowsOf, type TaskSet } from "../../tasks/mod.ts";
import { f32Codec } from "../transport/float_codec.ts";
import type { SimulationOptions } from "./options.ts";

/** Local steps of a client with some examples. */
export function localSteps(
  train: TaskSet,
  examples: readonly number[],
  { work, batchSize }: Pick<SimulationOptions, "work" | "batchSize">,
): number {
  return "steps" in work ? work.steps : work.epochs * Math.ceil(rowsOf(train, examples).length / batchSize);
}

/**
 * The same simulation with all data in one place: each round takes as many steps as its cohort would take together on average, on
 * batches of the same size. Nothing is sent, so nothing is done to it on the way.
 */
export function centralized(options: SimulationOptions): SimulationOptions {
  const { train, clients, clientsPerRound = clients.length } = options;
  const all = clients.reduce((sum, examples) => sum + localSteps(train, examples, options), 0);
  return {
    ...options,
    clients: [clients.flat().sort((a, b) => a - b)],
    clientsPerRound: 1,
    blockSize: 1,
    stages: [],
    codec: f32Codec,
    aggregator: undefined,
    secureAggregation: undefined,
    attackers: undefined,
    work: { steps: Math.max(1, Math.round(all * clientsPerRound / clients.length)) },
  };
}
