import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { disposeAll, type Gpu } from "../../src/engine/mod.ts";
import {
  openExperiment,
  parseConfig,
  prepare,
  replicatesOf,
  simulationOptions,
  writeModelFolder,
} from "../../src/experiment/mod.ts";
import { preparePartition } from "../../src/experiment/partition/prepare_partition.ts";
import { exportPeft, writePeft } from "../../src/federa/mod.ts";
import { disposeOwn, uniformFleet } from "../../src/fl/mod.ts";
import { planBatches, type TaskSet } from "../../src/tasks/mod.ts";
import { configOf, type Job, type Sources } from "./jobs.ts";

const silent = { line() {}, progress() {}, endProgress() {} };

/** What every contender must say that it has done. */
export interface Work {
  /** Values that a client trains. */
  readonly trainable: number;
  readonly steps: number;
  readonly texts: number;
  /** Without padding. */
  readonly tokens: number;
}

/** A job's files. */
export interface PreparedJob {
  readonly folder: string;
  /** What `federa run` reads. */
  readonly config: string;
  /** What the Python peers read. */
  readonly plan: string;
  /** The folder of the model before the first round, for `federa predict`. */
  readonly model: string;
  /** The texts of the test set, a JSONL file. */
  readonly test: string;
  readonly work: Work;
}

/**
 * Writes what a job's contenders read into a folder: the configuration of `federa run`; the model that it starts from, for federa
 * and for PEFT; and its plan, the texts of each step of each client that each round samples.
 */
export async function prepareJob(
  gpu: Gpu,
  job: Job,
  { sources, folder }: { readonly sources: Sources; readonly folder: string },
): Promise<PreparedJob> {
  const at = (name: string) => join(folder, name);
  await mkdir(at("model"), { recursive: true });
  const tests = (await linesOf(sources.test)).slice(0, job.numTests);
  await writeFile(at("test.jsonl"), `${tests.join("\n")}\n`);
  const written = configOf(job, { ...sources, test: at("test.jsonl") });
  const config = parseConfig(written);
  const preparation = await prepare(config, gpu, { reporter: silent });
  using experiment = openExperiment(preparation, replicatesOf(config)[0]!);
  const { pretrained, clients, train, test, seed } = experiment;
  const { method, work, batchSize } = simulationOptions(
    experiment,
    config.methods[0]!,
  );

  const { model, state } = await method.init(pretrained, {
    seed,
    numClients: clients.length,
  });
  const trainable = [...method.parameters(state).values()].reduce(
    (sum, { size }) => sum + size,
    0,
  );
  const { family } = preparation.model.checkpoint!;
  const base = { name: sources.model };
  await writeModelFolder(at("model"), model, { pretrained, config });
  await writePeft(
    at("adapter"),
    await exportPeft(model, { pretrained, family, base, form: "original" }),
  );
  disposeOwn(model, pretrained);
  disposeAll(
    [...preparation.model.encoder.namedParameters()].map(([, parameter]) => parameter),
  );

  const sizes = clients.map(({ length }) => length);
  const fleet = uniformFleet(sizes, {
    clientsPerRound: job.clientsPerRound,
    seed,
  });
  const rounds = Array.from(
    { length: job.rounds },
    (_, i) =>
      fleet.sample(i + 1).map((client) => ({
        numExamples: sizes[client]!,
        batches: planBatches(clients[client]!, {
          work,
          batchSize,
          seed,
          round: i + 1,
          client,
        }),
      })),
  );
  const { examples } = await preparePartition(config, {
    seed,
    reporter: silent,
    openGpu: () =>
      Promise.reject(
        new Error("Cannot prepare a job whose partition needs the model"),
      ),
  });
  const plan = {
    base: sources.model,
    adapter: at("adapter"),
    numLabels: pretrained.task.labels.length,
    numClients: clients.length,
    maxLength: job.maxLength,
    learningRate: config.methods[0]!.learningRate,
    train: {
      texts: examples.map((each) => (each as { text: string }).text),
      labels: [...train.targets],
    },
    test: {
      texts: tests.map((line) => (JSON.parse(line) as { text: string }).text),
      labels: [...test.targets],
    },
    rounds,
  };
  await writeFile(at("config.json"), JSON.stringify(written, null, 2));
  await writeFile(at("plan.json"), JSON.stringify(plan));
  const batches = rounds.flat().flatMap((client) => client.batches);
  return {
    folder,
    config: at("config.json"),
    plan: at("plan.json"),
    model: at("model"),
    test: at("test.jsonl"),
    work: {
      trainable,
      steps: batches.length,
      texts: batches.flat().length,
      tokens: countTokens(train, batches.flat()),
    },
  };
}

/** Tokens of some rows, without padding. */
function countTokens(
  { inputs, length }: TaskSet,
  rows: readonly number[],
): number {
  const mask = inputs["attentionMask"]!.data;
  return rows.reduce((sum, row) => {
    for (let i = 0; i < length; i++) sum += mask[row * length + i]!;
    return sum;
  }, 0);
}

async function linesOf(path: string): Promise<string[]> {
  return (await readFile(path, "utf8")).split("\n").filter((line) => line !== "");
}
