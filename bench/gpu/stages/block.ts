import { disposeAll, tensor } from "../../../src/engine/mod.ts";
import { fedIt } from "../../../src/fl/mod.ts";
import { Bert, uploadParameters } from "../../../src/models/mod.ts";
import {
  classification,
  createTaskSet,
  type LocalTrainingOptions,
  packBatches,
  TaskModel,
  trainBlock,
} from "../../../src/tasks/mod.ts";
import { createProblem, miniLm } from "../../lora/problem.ts";
import { encoderArrays, pythonConfig } from "../encoders.ts";
import { type Check, type GpuRow, relativeDifference } from "../row.ts";
import type { StageContext } from "../stage.ts";
import { ours, time, torchContenders } from "../timing.ts";

const rank = 8;
/** As in the suite `lora_step`. */
const tolerance = 1e-3;

/** A local step of every client of a block, from the same values: here in one stream, in PyTorch one after another. */
export async function* blockStage(context: StageContext): AsyncIterable<GpuRow> {
  const sizes = context.quick
    ? [{ clients: 2, batchSize: 2, length: 16 }]
    : [{ clients: 32, batchSize: 1, length: 16 }, { clients: 32, batchSize: 8, length: 32 }];
  for (const size of sizes) yield await measureBlock(size, context);
}

async function measureBlock(
  { clients, batchSize, length }: { clients: number; batchSize: number; length: number },
  { gpu, torch, isCuda, quick }: StageContext,
): Promise<GpuRow> {
  const config = quick ? { ...miniLm, numHiddenLayers: 1 } : miniLm;
  const problem = createProblem(config, { batch: clients * batchSize, length, rank });
  const encoder = new Bert(uploadParameters(gpu, problem.parameters), { config, pooling: "mean" });
  const method = fedIt({
    targets: ["**.attention.self.*", "**.attention.output.dense"],
    rank,
    alpha: rank * problem.scaling,
  });
  const { model, state } = await method.init(
    TaskModel.create(gpu, encoder, { task: classification({ labels: ["ham", "spam"] }), seed: 0 }),
    { seed: 0, numClients: clients },
  );
  const own = (name: string) => name.startsWith("head.") ? name : `encoder.${name}`;
  const start = new Map(
    [...problem.trainable].map(([name, { shape, data }]) => [own(name), tensor(gpu, data, { shape })]),
  );
  const missing = [...method.parameters(state).keys()].filter((name) => !start.has(name));
  if (missing.length > 0) throw new RangeError(`Cannot compare the block: ${missing.join()} has no value`);
  const texts = createTaskSet(
    { batchSize: clients * batchSize, length, inputIds: problem.ids, attentionMask: problem.mask },
    { targets: problem.labels },
  );
  const plans = Array.from(
    { length: clients },
    (_, client) => [Array.from({ length: batchSize }, (_, i) => client * batchSize + i)],
  );
  const train = (options: Pick<LocalTrainingOptions, "optimizer" | "learningRate">) =>
    trainBlock(model, start, { batches: packBatches(texts, plans, batchSize), ...options });
  const prepare = (optimizer: "sgd" | "adamw", learningRate: number) =>
    torch?.prepare("rounds", encoderArrays({ ...problem, texts: problem }), {
      config: pythonConfig(config),
      ...{ rank, alpha: rank * problem.scaling, optimizer, learningRate, clients, batchSize, rounds: 1 },
      average: false,
      targets: ["query", "key", "value", "attention.output.dense"],
    });
  // What one step of SGD changes is the gradient.
  const checks: Check[] = [];
  const checked = await prepare("sgd", 1);
  const { values, losses } = await train({ optimizer: { name: "sgd" }, learningRate: 1 });
  if (checked) {
    const expected = await checked.result();
    checks.push({
      what: "relative difference of the clients' losses from PyTorch's",
      found: relativeDifference(await losses.floats(), expected.get("loss")!),
      allowed: tolerance,
    });
    let largest = 0;
    for (const [name, { data }] of problem.trainable) {
      const change = (x: ArrayLike<number>) => Array.from(x, (value, i) => value - data[i % data.length]!);
      const found = change(await values.get(own(name))!.floats());
      largest = Math.max(largest, relativeDifference(found, change(expected.get(name)!)));
    }
    checks.push({
      what: "largest relative difference of what clients learn",
      found: largest,
      // Changes are read off values that are larger by up to 1000: that costs three of seven digits.
      allowed: 10 * tolerance,
    });
    await checked.release();
  }
  disposeAll([losses, ...values.values()]);
  const program = await prepare("adamw", 1e-3);
  const timed = await time([
    ours(gpu, async () => {
      const { values, losses } = await train({ optimizer: { name: "adamw" }, learningRate: 1e-3 });
      disposeAll([losses, ...values.values()]);
    }),
    ...torchContenders(program, isCuda),
  ], { seconds: 4, sampleMilliseconds: 20 });
  await program?.release();
  disposeAll([...start.values()]);
  disposeAll([...model.namedParameters()].map(([, each]) => each));
  return {
    name: `${clients} clients, B ${batchSize}, T ${length}, AdamW`,
    ...timed,
    checks,
  };
}
