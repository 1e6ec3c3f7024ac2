import { simulate } from "../../fl/mod.ts";
import type { MethodConfig } from "../config/config.ts";
import { type Experiment, simulationOptions } from "./experiment.ts";

/** Options of {@linkcode trainFirstBlock}. */
export interface FirstBlockOptions {
  readonly steps: number;
  /** Called after each step is recorded. */
  readonly onStep?: ((done: number) => void) | undefined;
}

/**
 * Trains the first block of a method's first round for some steps and throws the result away.
 *
 * @returns the number of clients in it.
 */
export async function trainFirstBlock(
  experiment: Experiment,
  method: MethodConfig,
  { steps, onStep }: FirstBlockOptions,
): Promise<number> {
  const options = simulationOptions(experiment, method);
  const { clients, clientsPerRound = clients.length } = options;
  let members = clientsPerRound;
  const run = simulate(experiment.pretrained, {
    ...options,
    rounds: 1,
    evaluateEvery: 0,
    work: { steps },
    measures: [],
    onStep,
  });
  for await (const event of run) {
    if (event.type === "initialized") members = Math.min(clientsPerRound, event.memory!.blockSize);
    if (event.type === "progress" && event.phase === "training" && event.done >= steps) break;
  }
  return members;
}
