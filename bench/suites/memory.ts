import { type Gpu, openGpu, type Precision, type Tensor, toPrecision, zeros } from "../../src/engine/mod.ts";
import { fedIt } from "../../src/fl/mod.ts";
import { Bert, type BertConfig, bertFamily, storedParameters } from "../../src/models/mod.ts";
import { classification, packBatches, TaskModel, trainBlock } from "../../src/tasks/mod.ts";
import type { Row, Suite } from "../contender.ts";
import { clientBytes } from "../memory_needs.ts";
import { randomTexts } from "../model.ts";

const common = {
  vocabSize: 30522,
  numAttentionHeads: 12,
  hiddenAct: "gelu",
  maxPositionEmbeddings: 512,
  typeVocabSize: 2,
  layerNormEps: 1e-12,
  padTokenId: 0,
} as const;
const models: Readonly<Record<string, BertConfig>> = {
  MiniLM: { ...common, hiddenSize: 384, numHiddenLayers: 6, intermediateSize: 1536 },
  "BERT-base": { ...common, hiddenSize: 768, numHiddenLayers: 12, intermediateSize: 3072 },
};
const precisions: readonly Precision[] = ["f32", "f16", "int8"];
const [batchSize, length, rank, numClasses] = [8, 32, 8, 7];
const [mostBase, mostClient] = [1.05, 1.15];
const MB = 1e6;

/** What the buffers of a model and of a client in training take, beside what their numbers take. Nothing is computed. */
export const memorySuite: Suite = {
  name: "memory",
  title:
    `bytes held beside bytes that must be, in MB; a client trains LoRA of rank ${rank} on attention by AdamW, ` +
    `${batchSize} texts of ${length} tokens`,
  subject: "needed",
  unit: "",
  goal: {
    what: `a base at most ${mostBase}×, a client at most ${mostClient}× its numbers`,
    check: ({ rows }) => {
      const largest = (part: string) =>
        Math.max(...rows.filter(({ name }) => name.endsWith(part)).map(({ ratios }) => ratios["held"]!));
      const [base, client] = [largest("base"), largest("client")];
      return {
        measured: `${base.toFixed(2)}×, ${client.toFixed(2)}×`,
        holds: base <= mostBase && client <= mostClient,
      };
    },
  },
  async *rows() {
    using gpu = await openGpu();
    for (const [name, config] of Object.entries(models)) {
      for (const precision of precisions) yield await baseRow(gpu, { name, config, precision });
      yield await clientRow(gpu, { name, config });
    }
  },
};

interface Model {
  readonly name: string;
  readonly config: BertConfig;
}

async function baseRow(
  gpu: Gpu,
  { name, config, precision }: Model & { readonly precision: Precision },
): Promise<Row> {
  let [needed, held] = [0, 0];
  await gpu.rehearse(async () => {
    const { encoder } = classifier(gpu, config);
    const stored = storedParameters(encoder, precision);
    for (const [, parameter] of encoder.namedParameters()) {
      const own = stored.has(parameter) ? precision : "f32";
      held += toPrecision(parameter, own).storage.buffer.bytes;
      needed += storedBytes(parameter, own);
    }
  });
  return { name: `${name} ${precision}, base`, samples: { needed: [needed / MB], held: [held / MB] } };
}

/** Bytes of a parameter's numbers; with 8 bits, each row has a scale. */
function storedBytes({ shape, size }: Tensor, precision: Precision): number {
  if (precision === "int8") return size + 4 * size / shape.at(-1)!;
  return (precision === "f16" ? 2 : 4) * size;
}

/** By how much a block grows with each client more: the second client's share, as the first takes what all share as well. */
async function clientRow(gpu: Gpu, { name, config }: Model): Promise<Row> {
  const [one, two] = [await blockBytes(gpu, config, 1), await blockBytes(gpu, config, 2)];
  const needed = clientBytes({ config, batchSize, length, rank, numClasses });
  return { name: `${name}, client`, samples: { needed: [needed / MB], held: [(two - one) / MB] } };
}

/** The most bytes at once while a block trains. */
async function blockBytes(gpu: Gpu, config: BertConfig, members: number): Promise<number> {
  return await gpu.rehearse(async () => {
    const method = fedIt({ rank, alpha: rank, targets: ["**.attention.**"] });
    const { model, state } = await method.init(classifier(gpu, config), { seed: 0, numClients: members });
    const texts = randomTexts(batchSize, length, config.vocabSize);
    const batch = Array.from({ length: batchSize }, (_, i) => i);
    await trainBlock(model, method.parameters(state), {
      batches: packBatches(texts, new Array<number[][]>(members).fill([batch]), batchSize),
      optimizer: { name: "adamw" },
      learningRate: 1e-3,
    });
  });
}

function classifier(gpu: Gpu, config: BertConfig): TaskModel {
  const shapes = bertFamily.parameterShapes(config, { pooler: true });
  const encoder = new Bert(new Map([...shapes].map(([name, shape]) => [name, zeros(gpu, shape)])), {
    config,
  });
  const labels = Array.from({ length: numClasses }, (_, i) => String(i));
  return TaskModel.create(gpu, encoder, { task: classification({ labels }), seed: 0 });
}
