import { packBatches, planBatches, trainBlock } from "../../src/tasks/mod.ts";
import type { BenchContext, Row, Suite } from "../contender.ts";
import { measure } from "../measure.ts";
import { type BenchModel, createEncoder, createModel, randomTexts } from "../model.ts";
import { settle } from "../settle.ts";

const shapes = [
  { clients: 32, batchSize: 1, length: 16 },
  { clients: 8, batchSize: 8, length: 32 },
];
const tolerance = 1e-5;

/** Local training of a block in one stream of kernels, and of its members one at a time. */
export const blockSuite: Suite = {
  name: "block",
  title: `one local LoRA step of every client, Universal Sentence Encoder lite`,
  subject: "block",
  goal: {
    what: "32 clients of one text 2× as fast as one at a time, results equal",
    check: ({ rows }) => {
      const ratio = rows[0]!.ratios["one at a time"]!;
      return { measured: `${ratio.toFixed(2)}×, equal to ${tolerance}`, holds: ratio >= 2 };
    },
  },
  async *rows({ gpu }) {
    const { encoder, weights } = await createEncoder(gpu);
    const model = await createModel(gpu, encoder);
    for (const shape of shapes) {
      yield await measureBlock({ gpu, model, weights }, shape);
    }
  },
};

async function measureBlock(
  { gpu, model: { model, trainable }, weights }: Pick<BenchContext, "gpu"> & {
    readonly model: BenchModel;
    readonly weights: string;
  },
  { clients, batchSize, length }: typeof shapes[number],
): Promise<Row> {
  const texts = randomTexts(clients * batchSize, length);
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
  const train = (members: typeof plans) =>
    trainBlock(model, trainable, {
      batches: packBatches(texts, members, batchSize),
      optimizer: { name: "adamw" },
      learningRate: 1e-3,
    });
  type Result = Awaited<ReturnType<typeof train>>;
  const release = ({ values, losses }: Result) =>
    [losses, ...values.values()].forEach((each) => each.dispose());
  const block = async () => {
    release(await train(plans));
    await settle(gpu);
  };
  const oneAtATime = async () => {
    for (const plan of plans) release(await train([plan]));
    await settle(gpu);
  };

  const together = await train(plans);
  let difference = 0;
  for (const [client, plan] of plans.entries()) {
    const alone = await train([plan]);
    difference = Math.max(
      difference,
      await largestDifference(together, alone, client),
    );
    release(alone);
  }
  release(together);
  if (!(difference <= tolerance)) {
    throw new RangeError(
      `Cannot compare block and single clients: results differ by ${difference}, expected at most ${tolerance}`,
    );
  }
  return {
    name: `${clients} clients, B ${batchSize}, T ${length}`,
    samples: await measure([
      { name: "block", run: block },
      { name: "one at a time", run: oneAtATime },
    ]),
    note: `${weights}; largest difference between the two ${difference}`,
  };
}

type Trained = Awaited<ReturnType<typeof trainBlock>>;

/** Largest |difference| between what member `client` of a block has learned and what it has learned alone. */
async function largestDifference(
  together: Trained,
  alone: Trained,
  client: number,
): Promise<number> {
  let largest = 0;
  for (const [name, value] of alone.values) {
    const own = await value.floats();
    const all = await together.values.get(name)!.floats();
    own.forEach((x, i) => {
      largest = Math.max(largest, Math.abs(x - all[client * own.length + i]!));
    });
  }
  return largest;
}
