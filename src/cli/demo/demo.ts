import type { ConfigInput } from "../../experiment/config/config.ts";
import { demoTuning } from "./demo_tuning.ts";

/** The rates that the tuning script tries for each method. */
export const learningRateGrid: readonly number[] = [0.01, 0.03, 0.1, 0.3, 1];

/** The demonstration without its methods' learning rates: mail over 24 clients of very different kinds. */
export const demoBase = {
  name: "demo",
  seed: 1,
  data: { kind: "spam-assassin", maxExamples: 1500, validationShare: 0.2, testShare: 0.2 },
  maxLength: 24,
  partition: { kind: "dirichlet", numClients: 24, alpha: 0.3, minSize: 8 },
  rounds: 6,
  clientsPerRound: 16,
  blockSize: 16,
  local: { steps: 2 },
  batchSize: 4,
  optimizer: { name: "sgd" },
  evaluateEvery: 2,
  target: { metric: "accuracy", value: 0.85 },
} satisfies Partial<ConfigInput>;

/** What a person reads first. */
export const demoIntroduction =
  `A pretrained sentence encoder learns to tell spam from mail that lies on simulated clients,
first by plain LoRA (fedit), then by FeDeRA (federa). Rounds, bytes and data are equal; the
learning rate of each was chosen on a validation set. The test set is scored as they go.
`;

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
