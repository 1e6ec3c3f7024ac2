import { type Gpu, openGpu } from "../../src/engine/mod.ts";
import { disposeOwn, fedIt, simulate } from "../../src/fl/mod.ts";
import {
  Bert,
  type BertConfig,
  bertFamily,
  randomParameters,
  uploadParameters,
} from "../../src/models/mod.ts";
import { classification, TaskModel, type TaskSet } from "../../src/tasks/mod.ts";
import type { Row, Suite } from "../contender.ts";
import { randomTexts } from "../model.ts";
import { fitLine } from "../line_fit.ts";
import { measure } from "../measure.ts";
import type { RowReport } from "../report.ts";

const config: BertConfig = {
  vocabSize: 64,
  hiddenSize: 32,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
  intermediateSize: 64,
  hiddenAct: "gelu",
  maxPositionEmbeddings: 16,
  typeVocabSize: 2,
  layerNormEps: 1e-12,
  padTokenId: 0,
};
const blockSize = 16;
const batchSize = 2;
const length = 8;
/** Clients at one round, then rounds of as many clients as a block has; in this order bytes that grow are seen. */
const sizes = [
  { clients: 16, rounds: 1 },
  { clients: 64, rounds: 1 },
  { clients: 256, rounds: 1 },
  { clients: 1024, rounds: 1 },
  { clients: 16, rounds: 5 },
  { clients: 16, rounds: 10 },
  { clients: 16, rounds: 20 },
];

/** Whole simulations of more and more clients and rounds, in blocks of one size. */
export const growthSuite: Suite = {
  name: "growth",
  title: `simulations of a tiny BERT, one step a client and round, blocks of ${blockSize}`,
  subject: "simulation",
  goal: {
    what: "time linear in client-steps (R² ≥ 0.99), peak GPU bytes flat",
    check: ({ rows }) => {
      const byClients = describeFit(rows.filter(({ figures }) => figures!["rounds"] === 1));
      const byRounds = describeFit(rows.filter(({ figures }) => figures!["clients"] === blockSize));
      const peaks = rows.map(({ figures }) => figures!["peakBytes"]!);
      const flat = Math.max(...peaks) === Math.min(...peaks);
      return {
        measured: `clients: ${byClients.text}; rounds: ${byRounds.text}; bytes ${flat ? "flat" : "growing"}`,
        holds: byClients.rSquared >= 0.99 && byRounds.rSquared >= 0.99 && flat,
      };
    },
  },
  async *rows() {
    // A device of its own: the peak of earlier suites would hide this one's.
    using gpu = await openGpu();
    const model = createClassifier(gpu);
    const peaks: number[] = [];
    for (const size of sizes) {
      await run(model, size);
      peaks.push(gpu.stats().peakBytes);
    }
    const contenders = sizes.map((size) => ({ name: nameOf(size), run: () => run(model, size) }));
    const samples = await measure(contenders, { warmUps: 0 });
    for (const [i, size] of sizes.entries()) yield rowOf(size, peaks[i]!, samples[nameOf(size)]!);
  },
};

function nameOf({ clients, rounds }: typeof sizes[number]): string {
  return `${clients} clients, ${rounds} ${rounds === 1 ? "round" : "rounds"}`;
}

function rowOf(size: typeof sizes[number], peakBytes: number, simulation: readonly number[]): Row {
  return {
    name: nameOf(size),
    samples: { simulation },
    figures: { ...size, clientSteps: size.clients * size.rounds, peakBytes },
    note: `${size.clients * size.rounds} client-steps, peak ${(peakBytes / 1e6).toFixed(2)} MB`,
  };
}

function describeFit(rows: readonly RowReport[]): { text: string; rSquared: number } {
  const { slope, intercept, rSquared, largestResidual } = fitLine(
    rows.map(({ figures, medians }) => [figures!["clientSteps"]!, medians["simulation"]!]),
  );
  const residual = `${(100 * largestResidual).toFixed(0)} %`;
  return {
    text: `${slope.toFixed(2)} ms a step + ${intercept.toFixed(0)} ms, R² ${
      rSquared.toFixed(4)
    }, residual ≤ ${residual}`,
    rSquared,
  };
}

function createClassifier(gpu: Gpu): TaskModel {
  const parameters = randomParameters(bertFamily.parameterShapes(config), { seed: 0, name: "bert" });
  const encoder = new Bert(uploadParameters(gpu, parameters), { config });
  return TaskModel.create(gpu, encoder, { task: classification({ labels: ["ham", "spam"] }), seed: 0 });
}

async function run(model: TaskModel, { clients, rounds }: typeof sizes[number]): Promise<void> {
  const events = simulate(model, {
    method: fedIt({ targets: ["**.attention.self.*"], rank: 4, alpha: 4 }),
    train: texts(clients * batchSize),
    clients: Array.from({ length: clients }, (_, client) => [client * batchSize, client * batchSize + 1]),
    test: texts(batchSize),
    rounds,
    blockSize,
    work: { steps: 1 },
    batchSize,
    optimizer: { name: "sgd" },
    learningRate: 0.1,
    evaluateEvery: 0,
    seed: 0,
  });
  for await (const event of events) {
    if (event.type === "finished") disposeOwn(event.model, model);
  }
}

function texts(size: number): TaskSet {
  return randomTexts(size, length, config.vocabSize);
}
