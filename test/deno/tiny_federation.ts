import type { Gpu } from "../../src/engine/mod.ts";
import { simulate } from "../../src/fl/mod.ts";
import { methodOn } from "../support/methods.ts";
import { randomClients, tinyClassifier, tinyTask } from "../support/tiny_encoder.ts";

/** What a federation ends with, in numbers that JSON carries exactly. */
export interface Outcome {
  /** Mean loss of the clients in each round. */
  readonly losses: readonly (number | null)[];
  /** Elements of each parameter of the last model. */
  readonly parameters: Readonly<Record<string, readonly number[]>>;
}

/** Two rounds of a method among seven clients, of whom five train in a round, in blocks of a size. */
export async function tinyFederation(gpu: Gpu, method: string, blockSize: number): Promise<Outcome> {
  const train = tinyTask({ size: 60, length: 4, seed: 1 });
  const events = simulate(tinyClassifier(gpu, { seed: 7, attention: true }), {
    method: methodOn(method, {
      targets: ["encoder.inner", "encoder.outer"],
      rank: 2,
      alpha: 3,
      svd: "exact",
    }),
    train,
    test: tinyTask({ size: 20, length: 4, seed: 2 }),
    clients: randomClients(train.size, 7, 1),
    rounds: 2,
    clientsPerRound: 5,
    blockSize,
    work: { epochs: 1 },
    batchSize: 4,
    optimizer: { name: "adamw" },
    learningRate: 0.01,
    clipNorm: 1,
    seed: 1,
  });
  const losses: (number | null)[] = [];
  const parameters: Record<string, number[]> = {};
  for await (const event of events) {
    if (event.type === "round") losses.push(event.report.trainLoss);
    if (event.type !== "finished") continue;
    for (const [name, each] of event.model.namedParameters()) parameters[name] = [...await each.floats()];
  }
  return { losses, parameters };
}
