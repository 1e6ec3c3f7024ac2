import {
  type FederationEvent,
  type RoundReport,
  simulate,
  type SimulationOptions,
} from "../../src/fl/mod.ts";
import { disposeOwn } from "../../src/fl/own_parameters.ts";
import type { TaskModel } from "../../src/tasks/mod.ts";
import { randomClients, tinyTask } from "./tiny_encoder.ts";

/** Forty examples of a tiny task. */
export const simulatedTask = tinyTask({ size: 40, length: 4, seed: 1 });

/** Three clients that share them, and a few quick rounds. */
const defaults = {
  train: simulatedTask,
  test: simulatedTask,
  clients: randomClients(simulatedTask.size, 3, 1),
  rounds: 3,
  blockSize: 2,
  work: { steps: 2 },
  batchSize: 4,
  optimizer: { name: "adamw" },
  learningRate: 0.01,
  seed: 3,
  evaluateEvery: 0,
} as const satisfies Partial<SimulationOptions>;

/** Reports of a federation, and the values of its model in the end. */
export interface Played {
  readonly reports: readonly RoundReport[];
  readonly values: ReadonlyMap<string, Float32Array>;
}

/** What is looked at of a federation on its way. */
export interface PlayedOptions {
  onRound?(event: FederationEvent & { readonly type: "round" }): void | Promise<void>;
  /** Sees the model in the end, before it is freed. */
  onFinished?(model: TaskModel): void | Promise<void>;
}

/** Plays a federation to the end, and frees what it trained. */
export async function played(
  run: AsyncIterable<FederationEvent>,
  pretrained: TaskModel,
  { onRound, onFinished }: PlayedOptions = {},
): Promise<Played> {
  const reports: RoundReport[] = [];
  for await (const event of run) {
    if (event.type === "round") {
      reports.push(event.report);
      await onRound?.(event);
    }
    if (event.type !== "finished") continue;
    await onFinished?.(event.model);
    const values = await valuesOf(event.model);
    disposeOwn(event.model, pretrained);
    return { reports, values };
  }
  throw new Error("the run must finish");
}

/** Plays a simulation on a tiny encoder, by default three rounds of three clients. */
export function simulated(
  pretrained: TaskModel,
  options: Partial<Omit<SimulationOptions, "method">> & Pick<SimulationOptions, "method"> & PlayedOptions,
): Promise<Played> {
  return played(simulate(pretrained, { ...defaults, ...options }), pretrained, options);
}

/** Values of all parameters of a model. */
export async function valuesOf(model: TaskModel): Promise<Map<string, Float32Array>> {
  const reads = [...model.namedParameters()].map(async ([name, each]) =>
    [name, await each.floats()] as const
  );
  return new Map(await Promise.all(reads));
}
