import type { ConfigInput } from "../../src/experiment/mod.ts";

/** Where the encoder and the texts of a job are. */
export interface Sources {
  /** A checkpoint's folder. */
  readonly model: string;
  /** JSONL files with the columns `text` and `label`. */
  readonly train: string;
  readonly test: string;
}

/** A federation that every contender trains. */
export interface Job {
  /** Of its folder. */
  readonly name: string;
  readonly title: string;
  readonly numClients: number;
  readonly clientsPerRound: number;
  readonly rounds: number;
  readonly steps: number;
  readonly batchSize: number;
  readonly maxLength: number;
  /** Texts to evaluate on, before the first round and after the last. */
  readonly numTests: number;
}

/** The job of a laboratory, one of many small devices, and that one's growth with the clients that there are. */
export const jobs = [
  {
    name: "snips",
    title: "20 clients, 10 a round, 5 steps of 8 texts, 2 rounds",
    numClients: 20,
    clientsPerRound: 10,
    rounds: 2,
    steps: 5,
    batchSize: 8,
    maxLength: 32,
    numTests: 700,
  },
  {
    name: "tiny",
    title: "320 clients, 32 a round, 5 steps of 1 text, 2 rounds",
    numClients: 320,
    clientsPerRound: 32,
    rounds: 2,
    steps: 5,
    batchSize: 1,
    maxLength: 16,
    numTests: 70,
  },
  ...[100, 1000].map((numClients) => ({
    name: `of-${numClients}`,
    title: `${numClients} clients, 32 a round, 1 step of 1 text, 2 rounds`,
    numClients,
    clientsPerRound: 32,
    rounds: 2,
    steps: 1,
    batchSize: 1,
    maxLength: 16,
    numTests: 70,
  })),
] as const satisfies readonly Job[];

/** The configuration with which `federa run` trains a job: LoRA of rank 8 on all attention matrices, AdamW, plain averages. */
export function configOf(
  job: Job,
  { model, train, test }: Sources,
): ConfigInput {
  const {
    name,
    numClients,
    clientsPerRound,
    rounds,
    steps,
    batchSize,
    maxLength,
  } = job;
  return {
    name,
    model: { source: model, pooling: "pooler" },
    data: { kind: "files", train, test, validationShare: 0 },
    partition: { kind: "iid", numClients },
    clientsPerRound,
    rounds,
    local: { steps },
    batchSize,
    maxLength,
    methods: [{
      method: "fedit",
      rank: 8,
      alpha: 16,
      targets: ["**.attention.**"],
      learningRate: 1e-3,
    }],
    blockSize: "auto",
    // What the others don't do either.
    measures: [],
    evaluateEvery: 0,
    output: "runs",
  };
}
