import assert from "node:assert/strict";
import { test } from "node:test";
import { accumulate, assign, disposeAll, mul, sub, type Tensor, tensor } from "../../../src/engine/mod.ts";
import { trainableParameters } from "../../../src/fl/mod.ts";
import {
  type CorrectGradients,
  type LocalTrainingOptions,
  packBatches,
  trainBlock,
} from "../../../src/tasks/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { assertClose, F32_UNIT_ROUNDOFF } from "../../support/compare.ts";
import { gaussian } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";
import { tinyClassifier, tinyTask } from "../../support/tiny_encoder.ts";
import { tinyLogits, tinyParameters } from "../../support/tiny_oracle.ts";

const gpu = await testGpu();
const [batchSize, rate, classes, width] = [4, 0.3, 3, 6];
const data = tinyTask({ size: 40, length: 4 });
const model = tinyClassifier(gpu, { classes, width, seed: 3 });
/** The head is one linear layer on what the frozen encoder makes of a text. */
const start = trainableParameters(model, (name) => name.startsWith("head."));
const plans = [[[0, 1, 2, 3], [4, 5], [6, 7, 8]], [[9], [10, 11, 12]], [[13, 14]]];

type Options = Partial<LocalTrainingOptions> & { readonly from?: ReadonlyMap<string, Tensor> };

/** What each member ends with, all of it in one list by name: weight and bias. */
async function train({ from = start, ...options }: Options = {}, work = plans): Promise<number[][][]> {
  const { values, losses } = await trainBlock(model, from, {
    optimizer: { name: "sgd" },
    learningRate: rate,
    batches: packBatches(data, work, batchSize),
    ...options,
  });
  const found = await Promise.all([...values.values()].map((each) => each.floats()));
  disposeAll([...values.values(), losses]);
  return work.map((_, k) =>
    found.map((each) => [...each.slice(k * each.length / work.length, (k + 1) * each.length / work.length)])
  );
}

/** w ← w − rate·(∇loss + mu·(w − w₀)) by every batch in float64: softmax regression on the encoder's states. */
async function proximalOracle(
  plan: readonly (readonly number[])[],
  mu: number,
): Promise<[number[], number[]]> {
  const parameters = await tinyParameters(model);
  const states = (example: number) => {
    const identity = Float64Array.from({ length: width * width }, (_, i) => i % (width + 1) === 0 ? 1 : 0);
    const values = new Map(parameters.values)
      .set("head.output.weight", F64Array.from([width, width], identity))
      .set("head.output.bias", F64Array.from([width], new Float64Array(width)));
    return tinyLogits({ ...parameters, values }, data, example);
  };
  const [w0, b0] = ["weight", "bias"].map((name) => parameters.values.get(`head.output.${name}`)!.data) as [
    Float64Array,
    Float64Array,
  ];
  const [w, b] = [w0.slice(), b0.slice()];
  for (const batch of plan) {
    const [dw, db] = [w.map((value, i) => mu * (value - w0[i]!)), b.map((value, i) => mu * (value - b0[i]!))];
    for (const example of batch) {
      const h = states(example);
      const logits = [...b].map((bias, c) => h.reduce((sum, x, j) => sum + x * w[c * width + j]!, bias));
      const shares = logits.map(Math.exp);
      const total = shares.reduce((sum, share) => sum + share, 0);
      shares.forEach((share, c) => {
        const error = (share / total - (data.targets[example] === c ? 1 : 0)) / batch.length;
        db[c]! += error;
        h.forEach((x, j) => dw[c * width + j]! += error * x);
      });
    }
    dw.forEach((value, i) => w[i]! -= rate * value);
    db.forEach((value, i) => b[i]! -= rate * value);
  }
  return [[...w], [...b]];
}

/** Pulls the values toward the start, as FedProx does. */
const proximal = (mu: number): CorrectGradients => (gradients, values) => {
  for (const [name, gradient] of gradients) {
    accumulate(gradient, mul(sub(values.get(name)!, start.get(name)!), mu));
  }
};

test("trainBlock() with a proximal correction gives FedProx's steps in float64, and frees all else", async () => {
  const mu = 2;
  await train();
  const before = gpu.stats().liveBytes;
  const found = await train({ correct: proximal(mu) });
  assert.equal(gpu.stats().liveBytes, before);
  // A gradient passes some 60 roundings of terms that cancel up to 10 times (as in block_training_test.ts), at a size of at
  // most 4; three steps of it, each scaling the error before by at most 1 + rate·(mu + ‖h‖²/2) ≤ 4.
  const absolute = 3 * 4 ** 2 * rate * 600 * F32_UNIT_ROUNDOFF * 4;
  for (const [k, plan] of plans.entries()) {
    const expected = await proximalOracle(plan, mu);
    assertClose(found[k]!.flat(), expected.flat(), { absolute });
    const plain = await proximalOracle(plan, 0);
    const pulled = Math.max(...plain.flat().map((value, i) => Math.abs(value - expected.flat()[i]!)));
    if (plan.length > 1) assert.ok(pulled > 10 * absolute, `the term moves member ${k} by ${pulled} only`);
  }
});

test("trainBlock() moves no entry whose gradient the correction masks, by SGD with momentum or by AdamW", async () => {
  const mask = Float32Array.from({ length: classes * width }, (_, i) => i % 3 === 1 ? 0 : 1);
  const masks = new Map([
    ["head.output.weight", tensor(gpu, mask, { shape: [classes, width] })],
    ["head.output.bias", tensor(gpu, [1, 0, 1])],
  ]);
  const before = await Promise.all([...start.values()].map((each) => each.floats()));
  const correct: CorrectGradients = (gradients) => {
    for (const [name, gradient] of gradients) assign(gradient, mul(gradient, masks.get(name)!));
  };
  for (const optimizer of [{ name: "sgd", momentum: 0.9 }, { name: "adamw", weightDecay: 0 }] as const) {
    for (const [k, member] of (await train({ optimizer, correct })).entries()) {
      for (const [p, values] of member.entries()) {
        const moves = p === 0 ? mask : [1, 0, 1];
        values.forEach((value, i) =>
          assert.equal(value !== before[p]![i], moves[i] === 1, `${optimizer.name}, member ${k}, ${p}[${i}]`)
        );
      }
    }
  }
});

test("trainBlock() clips what the correction has made of a gradient", async () => {
  const clipNorm = 0.01;
  const free = await train({ clipNorm });
  const scaled = await train({
    clipNorm,
    correct: (gradients) => gradients.forEach((each) => assign(each, mul(each, 1024))),
  });
  // Both are far over the limit, and 1024 is exact: only the 1e-6 beside the norm differs.
  assertClose(scaled.flat(2), free.flat(2), { absolute: 3 * rate * clipNorm * 1e-4 });
});

test("trainBlock() starts each member from its own values where they're [C, ...]", async () => {
  const random = new Random(8);
  const own = plans.map(() =>
    new Map([...start].map(([name, { shape }]) => [name, gaussian(shape, random)]))
  );
  const stacked = new Map([...start].map(([name, { shape }]) => {
    const values = Float32Array.from(own.flatMap((each) => [...each.get(name)!.data]));
    return [name, tensor(gpu, values, { shape: [plans.length, ...shape] })] as const;
  }));
  const together = await train({ from: stacked });
  for (const [k, plan] of plans.entries()) {
    const from = new Map(
      [...own[k]!].map(([name, { data, shape }]) => [name, tensor(gpu, Float32Array.from(data), { shape })]),
    );
    assert.deepEqual((await train({ from }, [plan]))[0], together[k]);
  }
  // A parameter may be shared, and another be each member's own.
  const mixed = await train({
    from: new Map([...start, ["head.output.bias", stacked.get("head.output.bias")!]]),
  });
  const bias = tensor(gpu, [...own[1]!.get("head.output.bias")!.data]);
  const alone = await train({ from: new Map([...start, ["head.output.bias", bias]]) }, [plans[1]!]);
  assert.deepEqual(alone[0], mixed[1]);
});

test("trainBlock() refuses starting values of a parameter that the model lacks, or of another shape", async () => {
  const before = gpu.stats().liveBytes;
  const wrong = tensor(gpu, new Float32Array(2 * classes * width), { shape: [2, classes, width] });
  await assert.rejects(
    train({ from: new Map([["head.output.weight", wrong]]) }),
    new TypeError(
      "Cannot train head.output.weight from shape [2, 3, 6]: expected [3, 6] for all members alike, or [3, 3, 6]",
    ),
  );
  await assert.rejects(
    train({ from: new Map([["head.out.weight", wrong]]) }),
    new TypeError("Cannot train head.out.weight: the model has no such parameter"),
  );
  wrong.dispose();
  assert.equal(gpu.stats().liveBytes, before);
});
