import { disposeAll, type Gpu, reshape, slice, tensor } from "../../src/engine/mod.ts";
import { attachAdapters, federa } from "../../src/federa/mod.ts";
import { measures } from "../../src/fl/mod.ts";
import {
  Bert,
  type BertConfig,
  bertFamily,
  randomParameters,
  uploadParameters,
} from "../../src/models/mod.ts";
import { classification, packBatches, TaskModel, trainBlock } from "../../src/tasks/mod.ts";
import type { Row, Suite } from "../contender.ts";
import { measure } from "../measure.ts";
import { randomTexts } from "../model.ts";
import { settle } from "../settle.ts";

const base = {
  numAttentionHeads: 2,
  hiddenAct: "gelu",
  maxPositionEmbeddings: 64,
  typeVocabSize: 2,
  layerNormEps: 1e-12,
  padTokenId: 0,
} as const;
const shapes = [
  { name: "BERT-tiny", numHiddenLayers: 2, hiddenSize: 128, vocabSize: 1000 },
  { name: "two layers of BERT-mini", numHiddenLayers: 2, hiddenSize: 256, vocabSize: 1000 },
];
const [clients, batchSize, length, steps, rank] = [8, 8, 32, 10, 8];

/** What all measures together take beside the training that they watch. */
export const measuresSuite: Suite = {
  name: "measures",
  title:
    `all measures of a round, and its training: ${clients} clients, ${steps} steps of ${batchSize} × ${length} tokens`,
  subject: "training",
  goal: {
    what: "measuring takes less than 10 % of a round's training",
    check: ({ rows }) => {
      const shares = rows.map(({ ratios }) => 1 / ratios["measures"]!);
      return {
        measured: rows.map(({ name }, i) => `${name} ${(100 * shares[i]!).toFixed(1)} %`).join(", "),
        holds: shares.every((share) => share < 0.1),
      };
    },
  },
  async *rows({ gpu }) {
    for (const shape of shapes) yield await measureRow(gpu, shape);
  },
};

async function measureRow(
  gpu: Gpu,
  { name, ...shape }: typeof shapes[number],
): Promise<Row> {
  const config: BertConfig = {
    ...base,
    ...shape,
    intermediateSize: 4 * shape.hiddenSize,
  };
  const parameters = randomParameters(bertFamily.parameterShapes(config), {
    seed: 0,
    name: "bert",
  });
  const encoder = new Bert(uploadParameters(gpu, parameters), { config });
  const task = classification({ labels: ["ham", "spam"] });
  const pretrained = TaskModel.create(gpu, encoder, { task, seed: 0 });
  const model = await attachAdapters(pretrained, {
    targets: ["**.encoder.layer.**"],
    rank,
    alpha: rank,
    initialization: federa(),
  });
  const start = new Map(
    [...model.namedParameters()].filter(([name]) => /^head|\.lora[AB]$/.test(name)),
  );
  const train = () =>
    trainBlock(model, start, {
      batches: packBatches(
        randomTexts(clients * batchSize, length, shape.vocabSize),
        Array.from({ length: clients }, (_, client) =>
          new Array(steps).fill(Array.from({ length: batchSize }, (_, i) =>
            client * batchSize + i))),
        batchSize,
      ),
      optimizer: { name: "adamw" },
      learningRate: 1e-3,
    });
  const { values, losses } = await train();
  const shares = new Array<number>(clients).fill(1 / clients);
  const members = shares.map((_, id) => ({ id, numExamples: batchSize, lastRound: 0 }));
  const weights = tensor(gpu, shares);
  const watching = [...measures.values()].map((create) => create({ pretrained, initial: model }));
  // One of the clients stands for what a method makes of them.
  const next = new Map(
    [...start].map(([name, { shape }]) =>
      [
        name,
        reshape(
          slice(values.get(name)!, { start: 0, end: 1, copy: true }),
          shape,
        ),
      ] as const
    ),
  );
  const after = model.mapParameters((name, parameter) => next.get(name) ?? parameter);
  const samples = await measure([
    {
      name: "training",
      run: async () => {
        const { values, losses } = await train();
        disposeAll([losses, ...values.values()]);
        await settle(gpu);
      },
    },
    {
      name: "measures",
      run: async () => {
        for (const each of watching) {
          each.begin(model);
          each.add({ clients: members, values, shares, weights });
        }
        await Promise.all(watching.map((each) => each.end(after)));
        for (const each of watching) each.dispose();
      },
    },
  ]);
  for (const each of watching) each.close?.();
  disposeAll([losses, weights, ...values.values(), ...next.values()]);
  return { name, samples };
}
