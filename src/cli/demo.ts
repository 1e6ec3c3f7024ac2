import type { ConfigInput } from "./config.ts";
import { demoTuning } from "./demo_tuning.ts";

/** The rates that the tuning script tries for each method. */
export const learningRateGrid: readonly number[] = [3e-4, 1e-3, 3e-3, 1e-2, 3e-2];

/** The demonstration without its methods' learning rates: mail over 24 clients of very different kinds. */
export const demoBase = {
  name: "demo",
  seed: 1,
  data: { kind: "spam-assassin", maxExamples: 1500, validationShare: 0.2, testShare: 0.2 },
  maxLength: 32,
  partition: { kind: "dirichlet", numClients: 24, alpha: 0.3, minSize: 8 },
  rounds: 6,
  clientsPerRound: 8,
  cohortSize: 8,
  local: { steps: 2 },
  batchSize: 8,
  optimizer: { name: "adamw" },
  evaluateEvery: 1,
  target: { metric: "accuracy", value: 0.9 },
} satisfies Partial<ConfigInput>;

/** The methods of the demonstration; all else is equal for them. */
export const demoMethods = ["fedit", "federa"] as const;

/** The configuration of `federa demo`: each method at the rate that scored best on the validation set. */
export function demoConfig(): ConfigInput {
  const methods = demoMethods.map((method) => ({
    method,
    learningRate: demoTuning[method].best,
    rank: 8,
    alpha: 8,
  }));
  return { ...demoBase, methods };
}
