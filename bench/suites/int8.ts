import {
  backward,
  disposeAll,
  type Gpu,
  linear,
  mul,
  sum,
  type Tensor,
  tidy,
  toFloat,
  toPrecision,
  zeros,
} from "../../src/engine/mod.ts";
import { fedIt } from "../../src/fl/mod.ts";
import { type BertConfig, bertFamily, inPrecision, type TransformerEncoder } from "../../src/models/mod.ts";
import { classification, packBatches, planBatches, TaskModel, trainBlock } from "../../src/tasks/mod.ts";
import type { BenchContext, Contender, Row, Suite } from "../contender.ts";
import { randomTensor } from "../inputs.ts";
import { geometricMean, measure } from "../measure.ts";
import { randomTexts } from "../model.ts";
import { settle } from "../settle.ts";

/** Rows of activations, and the sides of weights: MiniLM's, BERT-base's, and odd ones. */
const shapes = [
  { m: 1024, k: 384, n: 384 },
  { m: 1024, k: 384, n: 1536 },
  { m: 1024, k: 1536, n: 384 },
  { m: 1024, k: 768, n: 768 },
  { m: 512, k: 768, n: 3072 },
  { m: 509, k: 381, n: 1021 },
] as const;
type Shape = typeof shapes[number];

const precisions = ["int8", "f32", "f16"] as const;

const miniLm: BertConfig = {
  vocabSize: 30522,
  hiddenSize: 384,
  numHiddenLayers: 6,
  numAttentionHeads: 12,
  intermediateSize: 1536,
  hiddenAct: "gelu",
  maxPositionEmbeddings: 512,
  typeVocabSize: 2,
  layerNormEps: 1e-12,
  padTokenId: 0,
};
const bertBase = { ...miniLm, hiddenSize: 768, numHiddenLayers: 12, intermediateSize: 3072 };

/** What frozen weights in 8 bits save, beside the same in f32 and f16. */
export const int8Suite: Suite = {
  name: "int8",
  title:
    "a frozen layer's product and the gradient of its input, by how the weight is stored; and a whole step",
  subject: "int8",
  goal: {
    what:
      "products 1.2× as fast as in f32 on a CPU, no slower on a GPU (geometric mean); bases at most 0.27× as large",
    check({ rows }) {
      const products = rows.filter(({ figures }) => figures?.["wanted"] !== undefined);
      const ratios = products.map(({ ratios }) => ratios["f32"]!);
      const share = Math.max(...rows.map(({ figures }) => figures?.["shareOfF32"] ?? 0));
      const step = rows.at(-1)!.ratios["f32"]!;
      return {
        measured: `${geometricMean(ratios).toFixed(2)}×, least ${Math.min(...ratios).toFixed(2)}×; a step ${
          step.toFixed(2)
        }×; bases ${share.toFixed(3)}×`,
        holds: geometricMean(ratios) >= products[0]!.figures!["wanted"]! && share <= 0.27,
      };
    },
  },
  async *rows(context) {
    for (const shape of shapes) yield await measureLayer(context, shape);
    yield await measureStep(context);
  },
};

/** y = x·Wᵀ and dx = dy·W. */
async function measureLayer({ gpu }: BenchContext, { m, k, n }: Shape): Promise<Row> {
  using x = randomTensor(gpu, [m, k]).requireGrad();
  using dy = randomTensor(gpu, [m, n]);
  using weight = randomTensor(gpu, [n, k], 1 / Math.sqrt(k));
  const run = (stored: Tensor) =>
    tidy(() => {
      const y = linear(x, { weight: stored });
      return { y: y.detach(), dx: backward(sum(mul(y, dy)), [x])[0]! };
    });
  const weights: Tensor[] = [];
  try {
    const contenders: Contender[] = [];
    for (const precision of precisions) {
      const stored = toPrecision(weight, precision);
      weights.push(stored);
      await checkEqual(run, stored);
      const once = async () => {
        disposeAll(Object.values(run(stored)));
        await settle(gpu);
      };
      contenders.push({ name: precision, run: once });
    }
    return {
      name: `[${m}×${k}] by a frozen [${n}×${k}]ᵀ`,
      samples: await measure(contenders),
      flops: 4 * m * k * n,
      figures: { wanted: gpu.adapter.class === "cpu" ? 1.2 : 1 },
    };
  } finally {
    disposeAll(weights);
  }
}

/** The results with a stored weight are those with its values in f32. */
async function checkEqual(run: (weight: Tensor) => { y: Tensor; dx: Tensor }, stored: Tensor): Promise<void> {
  using values = toFloat(stored);
  const [found, expected] = [run(stored), run(values)];
  for (const name of ["y", "dx"] as const) {
    const [a, b] = [await found[name].floats(), await expected[name].floats()];
    const largest = b.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
    const apart = a.reduce((most, each, i) => Math.max(most, Math.abs(each - b[i]!)), 0);
    if (!(apart <= 1e-5 * largest)) {
      throw new RangeError(`wrong ${name} in ${stored.dtype}: ${apart} apart from ${largest}`);
    }
  }
  disposeAll([...Object.values(found), ...Object.values(expected)]);
}

/** A local step of adapters on every layer of an encoder, and the bytes of frozen weights. */
async function measureStep({ gpu }: BenchContext): Promise<Row> {
  const [clients, batchSize, length] = [8, 2, 32];
  const set = randomTexts(clients * batchSize, length);
  const batches = packBatches(
    set,
    Array.from(
      { length: clients },
      (_, client) =>
        planBatches(Array.from({ length: batchSize }, (_, i) => client * batchSize + i), {
          work: { steps: 1 },
          batchSize,
          seed: 0,
          round: 1,
          client,
        }),
    ),
    batchSize,
  );
  const whole = encoderOf(miniLm, (shape) => randomTensor(gpu, shape, 1 / Math.sqrt(shape.at(-1)!)));
  const method = fedIt({ rank: 8, alpha: 8 });
  const contenders: Contender[] = [];
  for (const precision of precisions) {
    const encoder = inPrecision(whole, precision);
    const pretrained = TaskModel.create(gpu, encoder, {
      task: classification({ labels: ["a", "b"] }),
      seed: 0,
    });
    const { model, state } = await method.init(pretrained, { seed: 0, numClients: 1 });
    const trained = method.parameters(state);
    const once = async () => {
      const options = { batches, optimizer: { name: "adamw" }, learningRate: 1e-3 } as const;
      const { values, losses } = await trainBlock(model, trained, options);
      disposeAll([losses, ...values.values()]);
      await settle(gpu);
    };
    contenders.push({ name: precision, run: once });
  }
  const bases = Object.entries({ MiniLM: miniLm, "BERT-base": bertBase }).map(([name, config]) => {
    const bytes = bytesOf(gpu, config);
    return {
      share: bytes.int8 / bytes.f32,
      text: `${name} ${megabytes(bytes.int8)} of ${megabytes(bytes.f32)} MB`,
    };
  });
  return {
    name: `LoRA step, MiniLM's shape, ${clients} clients of ${batchSize} × ${length}`,
    samples: await measure(contenders),
    figures: { shareOfF32: Math.max(...bases.map(({ share }) => share)) },
    note: `bases: ${bases.map(({ text }) => text).join(", ")}`,
  };
}

function encoderOf(
  config: BertConfig,
  create: (shape: readonly number[]) => Tensor,
): TransformerEncoder {
  const shapes = bertFamily.parameterShapes(config);
  const parameters = new Map([...shapes].map(([name, shape]) => [name, create(shape)]));
  return bertFamily.create(parameters, config) as TransformerEncoder;
}

/** Bytes of all parameters of an encoder, by precision; nothing is allocated. */
function bytesOf(gpu: Gpu, config: BertConfig): { f32: number; int8: number } {
  const bytes = { f32: 0, int8: 0 };
  gpu.rehearse(() => {
    const encoder = encoderOf(config, (shape) => zeros(gpu, shape));
    for (const precision of ["f32", "int8"] as const) {
      for (const [, each] of inPrecision(encoder, precision).namedParameters()) {
        bytes[precision] += each.range.bytes;
      }
    }
  });
  return bytes;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
