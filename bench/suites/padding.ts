import process from "node:process";
import { type Gpu, randomKey, RandomStream, type Tensor } from "../../src/engine/mod.ts";
import { fedIt } from "../../src/fl/mod.ts";
import { Bert, bertFamily, randomParameters, uploadParameters } from "../../src/models/mod.ts";
import {
  classification,
  createTaskSet,
  modelOutputs,
  packBatches,
  planBatches,
  TaskModel,
  type TaskSet,
  trainBlock,
} from "../../src/tasks/mod.ts";
import { evaluationBatch } from "../../src/tasks/inference/run_model.ts";
import type { Row, Suite } from "../contender.ts";
import { miniLm } from "../lora/problem.ts";
import { median } from "../measure.ts";

/** How many of 1,000 texts of SNIPS have 4, 5, … 26 tokens of BERT; the mean is 12.5. */
const counts = [
  1,
  8,
  19,
  47,
  70,
  91,
  110,
  114,
  102,
  92,
  82,
  70,
  53,
  42,
  31,
  22,
  16,
  11,
  8,
  5,
  3,
  2,
  1,
];
const shortest = 4;
const clients = 10;
const batchSize = 8;
const evaluated = 64;
const samples = 3;
const goals: Readonly<Record<string, number>> = {
  "a step of 10 clients, maxLength 32": 1.3,
  "a step of 10 clients, maxLength 64": 2,
  "outputs of 64 texts, maxLength 64": 2.5,
};

/** Texts without the padding between them, and all computed at `maxLength`. */
export const paddingSuite: Suite = {
  name: "padding",
  title: "MiniLM's shape, LoRA of rank 8 on every layer, texts as long as those of SNIPS: what padding costs",
  subject: "packed",
  unit: "",
  goal: {
    what: Object.entries(goals).map(([name, least]) => `${name}: ${least}×`).join(
      "; ",
    ) + "; equal results",
    check: ({ rows }) => {
      const ratioOf = (name: string) => rows.find((row) => row.name.startsWith(name))!.ratios["padded"]!;
      return {
        measured: Object.keys(goals).map((name) => `${ratioOf(name).toFixed(2)}×`).join("; "),
        holds: Object.entries(goals).every(([name, least]) => ratioOf(name) >= least),
      };
    },
  },
  async *rows({ gpu }) {
    const parameters = randomParameters(bertFamily.parameterShapes(miniLm), {
      seed: 0,
      name: "bert",
    });
    const encoder = new Bert(uploadParameters(gpu, parameters), {
      config: miniLm,
    });
    const method = fedIt({
      targets: [...encoder.adapterTargets],
      rank: 8,
      alpha: 16,
    });
    const { model, state } = await method.init(
      TaskModel.create(gpu, encoder, {
        task: classification({ labels: ["a", "b"] }),
        seed: 0,
      }),
      { seed: 0, numClients: 1 },
    );
    const start = method.parameters(state);
    for (const length of [32, 64]) {
      yield await trainRow(model, start, length);
      yield await outputsRow(model, length);
    }
  },
};

type Start = ReadonlyMap<string, Tensor>;

/** The same model, whose encoder computes whole texts. */
function paddedOf(model: TaskModel): TaskModel {
  const encoder = Object.assign(
    model.encoder.mapParameters((_, parameter) => parameter),
    {
      packsTokens: false,
    },
  );
  return new TaskModel(encoder, model.head, model);
}

async function trainRow(
  model: TaskModel,
  start: Start,
  length: number,
): Promise<Row> {
  const { gpu } = model;
  const texts = textsOf(clients * batchSize, length);
  const plans = Array.from({ length: clients }, (_, client) => {
    const own = Array.from(
      { length: batchSize },
      (_, i) => client * batchSize + i,
    );
    return planBatches(own, {
      work: { steps: 1 },
      batchSize,
      seed: 0,
      round: 1,
      client,
    });
  });
  const batches = packBatches(texts, plans, batchSize);
  const train = async (each: TaskModel): Promise<Float32Array[]> => {
    const { values, losses } = await trainBlock(each, start, {
      batches,
      optimizer: { name: "adamw" },
      learningRate: 1e-3,
    });
    const found = await Promise.all(
      [losses, ...values.values()].map((value) => value.floats()),
    );
    for (const value of [losses, ...values.values()]) value.dispose();
    return found;
  };
  return await compare(
    `a step of ${clients} clients, maxLength ${length}`,
    gpu,
    {
      packed: () => train(model),
      padded: () => train(paddedOf(model)),
    },
  );
}

async function outputsRow(model: TaskModel, length: number): Promise<Row> {
  const texts = textsOf(evaluated, length);
  return await compare(
    `outputs of ${evaluated} texts, maxLength ${length}`,
    model.gpu,
    {
      packed: async () => [(await modelOutputs(model, texts)).outputs],
      padded: async () => {
        const all = new Float32Array(evaluated * 2);
        for (let first = 0; first < evaluated; first += 64) {
          const rows = Array.from({ length: 64 }, (_, i) => first + i);
          const { outputs, losses } = evaluationBatch(model, texts, {
            rows,
            tokens: undefined,
            layout: { length },
          });
          all.set(await outputs.floats(), first * 2);
          for (const each of [outputs, losses]) each.dispose();
        }
        return [all];
      },
    },
  );
}

/** Runs both in turn. On a CPU, other processes take less from CPU time than from time. */
async function compare(
  name: string,
  { adapter }: Gpu,
  contenders: Readonly<Record<string, () => Promise<Float32Array[]>>>,
): Promise<Row> {
  const isCpu = adapter.class === "cpu";
  const clock = () => {
    const { user, system } = process.cpuUsage();
    return isCpu ? (user + system) / 1000 : performance.now();
  };
  const [own, other] = [
    await contenders["packed"]!(),
    await contenders["padded"]!(),
  ];
  const difference = Math.max(
    ...own.map((values, i) =>
      values.reduce(
        (most, x, k) => Math.max(most, Math.abs(x - other[i]![k]!)),
        0,
      )
    ),
  );
  // A graphics processor adds a weight's rows in parts, of which padding makes others.
  if (!(difference <= (isCpu ? 0 : 1e-5))) {
    throw new RangeError(
      `Cannot compare packed and padded texts: results differ by ${difference}`,
    );
  }
  const times: Record<string, number[]> = {};
  for (let i = 0; i < samples; i++) {
    for (const [contender, run] of Object.entries(contenders)) {
      const before = clock();
      await run();
      (times[contender] ??= []).push(clock() - before);
    }
  }
  const spread = Math.max(...times["packed"]!) / median(times["packed"]!);
  return {
    name: `${name}, ${isCpu ? "CPU ms" : "ms"}`,
    samples: times,
    note: `results differ by ${difference}; slowest sample ${spread.toFixed(2)}× the median`,
  };
}

/** Texts of random tokens, as long as those of SNIPS. */
function textsOf(size: number, length: number): TaskSet {
  const stream = new RandomStream(randomKey(0, "padding", size));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const inputIds = new Uint32Array(size * length);
  const attentionMask = new Float32Array(size * length);
  for (let row = 0; row < size; row++) {
    let at = stream.uniform() * total;
    const tokens = shortest + counts.findIndex((count) => (at -= count) < 0);
    for (let t = 0; t < tokens; t++) {
      inputIds[row * length + t] = 1 +
        Math.floor(stream.uniform() * (miniLm.vocabSize - 1));
      attentionMask[row * length + t] = 1;
    }
  }
  return createTaskSet({ batchSize: size, length, inputIds, attentionMask }, {
    targets: Int32Array.from({ length: size }, (_, i) => i % 2),
  });
}
