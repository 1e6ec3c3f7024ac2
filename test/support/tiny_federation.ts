import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Gpu } from "../../src/engine/mod.ts";
import { readExamples } from "../../src/experiment/data/read_examples.ts";
import {
  type ConfigInput,
  parseConfig,
  prepareExperiment,
  simulateMethod,
} from "../../src/experiment/mod.ts";
import type { HostTensors, SimulationEvent } from "../../src/fl/mod.ts";
import { toHost } from "../../src/fl/tensors.ts";
import type { OwnExamples } from "../../src/network/mod.ts";
import type { TaskModel } from "../../src/tasks/mod.ts";
import { silent } from "./silent_reporter.ts";
import { tinyBert, tinyExamples } from "./tiny_project.ts";

/** How a tiny federation trains, beside its method. */
export interface TinyFederation {
  readonly method: string;
  readonly rounds: number;
  readonly steps: number;
  /** Two, three or four. */
  readonly numClients: number;
  readonly learningRate: number;
  readonly optimizer: "sgd" | "adamw";
}

/**
 * Plain descent: Adam divides a gradient that is zero but for rounding, as of a key's bias, by its own size, and so makes a whole step of
 * the last bit in which two averages differ.
 */
export const descent: Pick<TinyFederation, "optimizer" | "learningRate"> = {
  optimizer: "sgd",
  learningRate: 0.1,
};

/** Whether a method puts factors of a rank on layers. */
function isAdapting(method: string): boolean {
  return /fedit|federa|lora/.test(method);
}

/** The settings that a server tells nodes, in words of `--run-config`. */
export function runConfigOf(
  { method, rounds, steps, numClients, learningRate, optimizer }: TinyFederation,
): Record<string, string | number> {
  return {
    method,
    ...isAdapting(method) && { rank: 2, alpha: 4 },
    labels: "ham,spam",
    pooling: "mean",
    "max-length": 8,
    "local-steps": steps,
    "batch-size": 2,
    "learning-rate": learningRate,
    optimizer,
    seed: 1,
    rounds,
    "num-clients": numClients,
  };
}

/** Who has each of the tiny examples, unequally, by the number of clients. */
const owners: Readonly<Record<number, readonly number[]>> = {
  2: [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1],
  3: [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2],
  4: [0, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3],
};

/** The examples of a client. */
function rowsOfClient(client: number, { numClients }: Pick<TinyFederation, "numClients">) {
  return tinyExamples.filter((_, i) => owners[numClients]![i] === client);
}

/** The same as a node reads them. */
export async function examplesOfClient(
  folder: string,
  client: number,
  federation: Pick<TinyFederation, "numClients">,
): Promise<OwnExamples> {
  const path = await writeClientFile(folder, client, federation);
  return {
    kind: "sequence-classification",
    train: await readExamples("sequence-classification", path, {}),
  };
}

/** Writes the examples of a client as JSONL; returns the path. */
export async function writeClientFile(
  folder: string,
  client: number,
  federation: Pick<TinyFederation, "numClients">,
): Promise<string> {
  const path = join(folder, `client-${client}.jsonl`);
  await writeFile(path, rowsOfClient(client, federation).map((row) => `${JSON.stringify(row)}\n`).join(""));
  return path;
}

/** All parameters of a model after a simulation of the federation, from a tiny project's folder. */
export async function simulateTiny(
  gpu: Gpu,
  folder: string,
  federation: TinyFederation,
): Promise<HostTensors> {
  const { method, rounds, steps, numClients, learningRate, optimizer } = federation;
  const train = join(folder, `train-of-${numClients}.jsonl`);
  const rows = tinyExamples.map((row, i) => ({ ...row, owner: `${owners[numClients]![i]}` }));
  await writeFile(train, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const config = parseConfig(
    {
      ...tinyBert,
      model: { source: join(folder, "bert"), pooling: "mean" },
      data: {
        ...tinyBert.data,
        train,
        test: train,
        columns: { key: "owner" },
      },
      partition: { kind: "natural-id" },
      methods: [{ method, learningRate, ...isAdapting(method) && { rank: 2, alpha: 4 } }],
      rounds,
      local: { steps },
      optimizer: { name: optimizer },
      evaluateEvery: 0,
      measures: [],
    } as ConfigInput,
  );
  using experiment = await prepareExperiment(config, gpu, { reporter: silent });
  assert.equal(experiment.clients.length, numClients);
  let last: SimulationEvent | undefined;
  for await (const event of simulateMethod(experiment, config.methods[0]!)) last = event;
  assert.equal(last?.type, "finished");
  return await parametersOf((last as Extract<SimulationEvent, { type: "finished" }>).model);
}

/** All parameters of a model, by name. */
export async function parametersOf(model: TaskModel): Promise<HostTensors> {
  return await toHost(new Map(model.namedParameters()));
}

/** The largest difference of any value; both have the same names. */
export function largestDifference(a: HostTensors, b: HostTensors): number {
  assert.deepEqual([...a.keys()].sort(), [...b.keys()].sort());
  let largest = 0;
  for (const [name, { data }] of a) {
    const other = b.get(name)!.data;
    assert.equal(data.length, other.length, name);
    // NaN is larger than any difference.
    data.forEach((x, i) => {
      const difference = Math.abs(x - other[i]!);
      if (!(difference <= largest)) largest = difference;
    });
  }
  return largest;
}
