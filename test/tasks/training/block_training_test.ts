import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { disposeAll } from "../../../src/engine/mod.ts";
import { adaptersOf, attachAdapters, federa, lora } from "../../../src/federa/mod.ts";
import { trainableParameters } from "../../../src/fl/mod.ts";
import type { ColumnData } from "../../../src/models/mod.ts";
import {
  type BlockResult,
  BlockTraining,
  createTaskSet,
  evaluate,
  type LocalOptimizer,
  packBatches,
  type TaskModel,
  trainBlock,
} from "../../../src/tasks/mod.ts";
import { bitsOf, holds, testGpu, upload } from "../../engine/harness.ts";
import { trainedBy } from "../../support/methods.ts";
import { assertClose, relativeError } from "../../support/compare.ts";
import { gaussian } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";
import { tinyClassifier, tinyTask } from "../../support/tiny_encoder.ts";
import { tinyGradient, tinyLoss, tinyParameters } from "../../support/tiny_oracle.ts";

const gpu = await testGpu();
const data = tinyTask({ size: 40, length: 4 });
const batchSize = 4;
type Plan = readonly (readonly number[])[];

/** What a member ended with: the bits of each parameter and of its mean loss. */
interface Member {
  readonly values: ReadonlyMap<string, Uint32Array>;
  readonly loss: number;
}

interface TrainOptions {
  readonly trainable: (name: string) => boolean;
  readonly optimizer: LocalOptimizer;
  readonly learningRate: number;
  readonly clipNorm?: number | undefined;
  readonly checkpointing?: boolean;
}

async function train(
  model: TaskModel,
  plans: readonly Plan[],
  options: TrainOptions,
): Promise<Member[]> {
  const { trainable, ...rest } = options;
  const start = trainableParameters(model, trainable);
  const result = await trainBlock(model, start, { ...rest, batches: packBatches(data, plans, batchSize) });
  const members = await membersOf(result, plans.length);
  for (const each of [...result.values.values(), result.losses]) each.dispose();
  return members;
}

async function membersOf({ values, losses }: BlockResult, count: number): Promise<Member[]> {
  const lossOf = await losses.floats();
  const host = await Promise.all(
    [...values].map(async ([name, each]) => [name, bitsOf(await each.floats())] as const),
  );
  return Array.from({ length: count }, (_, k) => ({
    values: new Map(
      host.map(([name, bits]) => [name, bits.slice(k * bits.length / count, (k + 1) * bits.length / count)]),
    ),
    loss: lossOf[k]!,
  }));
}

const plain = tinyClassifier(gpu, { seed: 3 });
const targets = ["encoder.inner", "encoder.outer"];
const adapted = await attachAdapters(plain, { targets, rank: 2, alpha: 3, initialization: lora });
const decomposed = await attachAdapters(plain, {
  targets,
  rank: 2,
  alpha: 3,
  initialization: federa({ svd: "exact" }),
});
const models = new Map([["full", plain], ["fedbf", plain], ["fedit", adapted], ["ffa-lora", adapted], [
  "federa",
  decomposed,
]]);

const batch = fc.array(fc.nat({ max: data.size - 1 }), { minLength: 1, maxLength: batchSize });
const plan = fc.array(batch, { minLength: 1, maxLength: 4 });
const options = fc.record({
  method: fc.constantFrom(...models.keys()),
  optimizer: fc.constantFrom<LocalOptimizer[]>(
    { name: "sgd" },
    { name: "sgd", momentum: 0.9, weightDecay: 0.1 },
    { name: "adamw", weightDecay: 0.01 },
  ),
  clipNorm: fc.constantFrom(undefined, 0.1, 10),
  learningRate: fc.constantFrom(0.003, 0.3),
});

function prepare({ method, ...rest }: { method: string } & Omit<TrainOptions, "trainable">) {
  return { model: models.get(method)!, train: { ...rest, trainable: trainedBy(method) } };
}

test("trainBlock() gives each member the bits it has alone, with any numbers of steps, and frees all else", async () => {
  const before = gpu.stats().liveBytes;
  await holds(fc.tuple(fc.array(plan, { minLength: 1, maxLength: 5 }), options), async ([plans, each]) => {
    const { model, train: settings } = prepare(each);
    const together = await train(model, plans, settings);
    for (const [k, alone] of plans.entries()) {
      assert.deepEqual(together[k], (await train(model, [alone], settings))[0]);
    }
  }, 30);
  assert.equal(gpu.stats().liveBytes, before);
});

test("trainBlock() lets no neighbour's data, place or work change a bit of a member", async () => {
  const cases = fc.tuple(
    plan,
    fc.array(plan, { minLength: 1, maxLength: 3 }),
    fc.array(plan, { minLength: 1, maxLength: 3 }),
    options,
  );
  await holds(cases, async ([mine, some, others, each]) => {
    const { model, train: settings } = prepare(each);
    const first = (await train(model, [mine, ...some], settings))[0];
    assert.deepEqual((await train(model, [...others, mine], settings)).at(-1), first);
  }, 25);
});

test("trainBlock() gives the same bits with checkpointing", async () => {
  await holds(fc.tuple(fc.array(plan, { minLength: 1, maxLength: 3 }), options), async ([plans, each]) => {
    const { model, train: settings } = prepare(each);
    assert.deepEqual(
      await train(model, plans, { ...settings, checkpointing: true }),
      await train(model, plans, settings),
    );
  }, 15);
});

test("trainBlock() reads nothing back, and submits once a step", async () => {
  const { read } = gpu;
  gpu.read = () => assert.fail("a readback");
  try {
    const plans = [[[1, 2], [3], [4, 5], [6]], [[7], [8, 9]]];
    const before = gpu.stats().submits;
    const { values, losses } = await trainBlock(
      adapted,
      trainableParameters(adapted, trainedBy("fedit")),
      {
        batches: packBatches(data, plans, batchSize),
        optimizer: { name: "adamw" },
        learningRate: 0.1,
        clipNorm: 1,
      },
    );
    for (const each of [...values.values(), losses]) each.dispose();
    assert.ok(gpu.stats().submits - before <= 4 + 1, `${gpu.stats().submits - before} submits in 4 steps`);
  } finally {
    gpu.read = read;
  }
});

test("trainBlock() runs no backward kernel below the lowest trained layer", async () => {
  const dispatches = async (trained: (name: string) => boolean) => {
    const before = gpu.stats().dispatches;
    await train(adapted, [[[1, 2], [3, 4]]], {
      trainable: trained,
      optimizer: { name: "sgd" },
      learningRate: 0.1,
    });
    return gpu.stats().dispatches - before;
  };
  const head = await dispatches((name) => name.startsWith("head."));
  const outer = await dispatches((name) => /^(head|encoder\.outer\.lora)/.test(name));
  const both = await dispatches((name) => /^head|lora/.test(name));
  const all = await dispatches(() => true);
  // What two steps take more: each further layer adds at least its own gradients and those on the way to it.
  assert.ok(
    head + 2 * 4 <= outer && outer + 2 * 4 <= both && both + 2 * 4 <= all,
    `${[head, outer, both, all]}`,
  );
});

test("trainBlock() moves a member by its own steps only: a finished one rests while others go on", async () => {
  const settings = {
    trainable: trainedBy("full"),
    optimizer: { name: "adamw", weightDecay: 0.1 } as const,
    learningRate: 0.1,
  };
  const short = [[1, 2]];
  const [once] = await train(plain, [short], settings);
  const long = Array.from({ length: 12 }, (_, i) => [i, i + 1]);
  const [rested, went] = await train(plain, [short, long], settings);
  // Momentum and weight decay would move it even with a gradient of zero.
  assert.deepEqual(rested, once);
  assert.notDeepEqual(went!.values.get("head.output.weight"), once!.values.get("head.output.weight"));
});

function floats(bits: Uint32Array): Float32Array {
  return new Float32Array(bits.buffer, bits.byteOffset, bits.length);
}

test("trainBlock() steps along the float64 gradient of each member's own mean loss", async () => {
  const random = new Random(5);
  const model = adapted.mapParameters((name, each) =>
    name.endsWith("loraB") || name === "head.output.weight" ? upload(gpu, gaussian(each.shape, random)) : each
  );
  const parameters = await tinyParameters(model);
  const rate = 0.5;
  const plans = [[[0, 1, 2, 3]], [[4, 5]], [[6]]];
  // Everything at once, the frozen weights of the adapted layers too.
  const members = await train(model, plans, {
    trainable: () => true,
    optimizer: { name: "sgd" },
    learningRate: rate,
  });
  for (const [k, [examples]] of plans.entries()) {
    const loss = tinyLoss(parameters, data, examples!);
    // As in evaluate_test.ts.
    assert.ok(
      Math.abs(members[k]!.loss - loss) <= 2e-6 * (1 + loss),
      `loss of member ${k}: ${members[k]!.loss}, oracle ${loss}`,
    );
    for (const [name, start] of parameters.values) {
      const gradient = tinyGradient(parameters, name, data, examples!);
      const moved = floats(members[k]!.values.get(name)!);
      // p − rate·g rounds to u·|p|; a gradient passes some 60 roundings of terms that cancel up to 10 times; differences are
      // exact to 1e-9.
      const scale = Math.max(...gradient.map(Math.abs));
      for (const [i, value] of gradient.entries()) {
        const tolerance = 2 ** -24 * (Math.abs(start.data[i]!) + rate * scale) +
          rate * (600 * 2 ** -24 * scale + 1e-8);
        const expected = start.data[i]! - rate * value;
        assert.ok(
          Math.abs(moved[i]! - expected) <= tolerance,
          `${name}[${i}] of member ${k}: ${moved[i]}, oracle ${expected}`,
        );
      }
    }
  }
});

test("trainBlock() starts from a loss that is evaluate()'s on the same examples", async () => {
  const examples = [3, 1, 4, 15];
  const pick = (source: ColumnData) => examples.flatMap((i) => [...source.slice(i * 4, i * 4 + 4)]);
  const tokens = {
    batchSize: 4,
    length: 4,
    inputIds: Uint32Array.from(pick(data.inputs.inputIds!.data)),
    attentionMask: Float32Array.from(pick(data.inputs.attentionMask!.data)),
  };
  const targets = Int32Array.from(examples, (i) => data.targets[i]!);
  const { loss } = await evaluate(decomposed, createTaskSet(tokens, { targets }));
  const [member] = await train(decomposed, [[examples]], {
    trainable: trainedBy("federa"),
    optimizer: { name: "sgd" },
    learningRate: 0,
  });
  // Two f32 log-sum-exps and a mean.
  assert.ok(Math.abs(member!.loss - loss) <= 1e-6, `${member!.loss}, ${loss}`);
});

test("trainBlock() clips each member by its own gradient's norm over all that it trains", async () => {
  const plans = [[[0, 1, 2, 3]], [[4, 5]], [[6]]];
  const trainable = trainedBy("full");
  const start = new Map(
    await Promise.all(
      [...plain.namedParameters()].map(async ([name, each]) => [name, await each.floats()] as const),
    ),
  );
  const names = [...start.keys()];
  const rate = 1024;
  const updates = async (clipNorm?: number) =>
    (await train(plain, plans, { trainable, optimizer: { name: "sgd" }, learningRate: rate, clipNorm })).map((
      { values },
    ) =>
      names.flatMap((name) =>
        Array.from(floats(values.get(name)!), (value, i) => (start.get(name)![i]! - value) / rate)
      )
    );
  const free = await updates();
  const norms = free.map((update) => Math.hypot(...update));
  const [least, middle, most] = [...norms].sort((a, b) => a - b) as [number, number, number];
  const limit = (least + middle) / 2;
  const clipped = await updates(limit);
  for (const [k, update] of clipped.entries()) {
    const factor = Math.min(1, limit / (norms[k]! + 1e-6));
    // The update is read off p − rate·g, whose rounding is u·(|p|/rate + |g|) an element.
    const error = relativeError(update, free[k]!.map((value) => factor * value));
    assert.ok(error <= 1e-5, `member ${k}: error ${error}`);
    if (norms[k] === least) assert.deepEqual(update, free[k], "a gradient within the limit keeps its bits");
  }
  assert.ok(most > limit);
});

test("trainBlock() leaves the model's own tensors as they are", async () => {
  const before = await Promise.all([...adapted.namedParameters()].map(([, each]) => each.floats()));
  await train(adapted, [[[1, 2]], [[3]]], {
    trainable: () => true,
    optimizer: { name: "adamw" },
    learningRate: 0.1,
  });
  assert.deepEqual(
    await Promise.all([...adapted.namedParameters()].map(([, each]) => each.floats())),
    before,
  );
  assert.equal(adaptersOf(adapted).size, 2);
});

test("trainBlock() reports the steps that the device has done, not those that are recorded ahead of it", async () => {
  const told: string[] = [];
  const result = await trainBlock(plain, trainableParameters(plain, () => true), {
    optimizer: { name: "sgd" },
    learningRate: 0.01,
    batches: packBatches(data, [Array.from({ length: 5 }, (_, step) => [step])], batchSize),
    onStep: (step) => told.push(`recorded ${step}`),
    onProgress: (done, steps) => told.push(`done ${done} of ${steps}`),
  });
  assert.deepEqual(told, [
    "recorded 1",
    "recorded 2",
    "recorded 3",
    "done 1 of 5",
    "recorded 4",
    "done 2 of 5",
    "recorded 5",
    "done 3 of 5",
    "done 4 of 5",
    "done 5 of 5",
  ]);
  for (const each of [...result.values.values(), result.losses]) each.dispose();
});

test("BlockTraining.step() creates no buffer, bind group or pipeline once it is warm, and submits at most thrice", async () => {
  const model = await attachAdapters(tinyClassifier(gpu, { width: 7, inner: 5, seed: 3 }), {
    targets: ["encoder.inner"],
    rank: 2,
    alpha: 2,
    initialization: lora,
    seed: 1,
  });
  const plans = [5, 3].map((first) =>
    Array.from({ length: 12 }, (_, step) => [first + step, first + step + 1])
  );
  using training = new BlockTraining(model, trainableParameters(model, () => true), {
    optimizer: { name: "adamw" },
    learningRate: 0.01,
    clipNorm: 1,
    batches: packBatches(data, plans, batchSize),
  });
  const step = async () => {
    training.step();
    await gpu.throttle();
  };
  for (let i = 0; i < 4; i++) await step();
  const warm = gpu.stats();
  for (let i = 4; i < 12; i++) await step();
  const now = gpu.stats();
  for (const name of ["created", "bindGroups", "pipelines", "liveBytes", "peakBytes"] as const) {
    assert.equal(now[name] - warm[name], 0, name);
  }
  assert.ok(now.submits - warm.submits <= 3 * 8, `${now.submits - warm.submits} submits in 8 steps`);
  assert.ok(now.dispatches - warm.dispatches >= 8 * 20);
  const { values, losses } = training.finish();
  for (const each of [...values.values(), losses]) each.dispose();
});

test("BlockTraining.values and BlockTraining.lossSums follow each step", async () => {
  const model = tinyClassifier(gpu, { width: 7, inner: 5, seed: 3 });
  const start = trainableParameters(model, (name) => name.startsWith("head."));
  const options = { optimizer: { name: "sgd" }, learningRate: 0.1 } as const;
  const plan = [[0, 1], [2, 3], [4, 5]];
  using training = new BlockTraining(model, start, {
    ...options,
    batches: packBatches(data, [plan], batchSize),
  });
  for (let step = 1; step <= plan.length; step++) {
    training.step();
    // The same steps alone.
    const batches = packBatches(data, [plan.slice(0, step)], batchSize);
    const { values, losses } = await trainBlock(model, start, { ...options, batches });
    for (const [name, value] of values) {
      assert.deepEqual(await training.values.get(name)!.floats(), await value.floats());
    }
    assertClose(await training.lossSums.floats(), (await losses.floats()).map((mean) => mean * step), {
      relative: 1e-6,
    });
    disposeAll([...values.values(), losses]);
  }
});
