import assert from "node:assert/strict";
import { test } from "node:test";
import { assign, type Tensor, tensor } from "../../../src/engine/mod.ts";
import { adaptersOf } from "../../../src/federa/mod.ts";
import {
  biasOnly,
  feDeRa,
  feDeRaExact,
  type FederatedMethod,
  fedIt,
  ffaLora,
  fullFineTuning,
  methods,
  type ServerState,
  trainableParameters,
} from "../../../src/fl/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { tinyClassifier } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const layer = "encoder.inner";

/** A classifier whose adapted weight W₀ is diag(4, 1), of singular values 4 and 1 and vectors e₁ and e₂. */
function pretrained() {
  const model = tinyClassifier(gpu, { width: 2, inner: 2, classes: 2 });
  for (const [name, parameter] of model.namedParameters()) {
    if (name === `${layer}.weight`) assign(parameter, tensor(gpu, [4, 0, 0, 1], { shape: [2, 2] }));
  }
  return model;
}

/** Rank 1 and s = 4. */
function start(method: FederatedMethod): Promise<ServerState> {
  return method.init(pretrained(), { targets: [layer], rank: 1, alpha: 4, svd: "exact", seed: 1 });
}

// Two clients of weights p = ¾ and ¼, all numbers exact in f32:
//   A₁ = [1 1], B₁ = [1 0]ᵀ, A₂ = [5 1], B₂ = [1 4]ᵀ
//   Ā = ¾·[1 1] + ¼·[5 1] = [2 1], B̄ = ¾·[1 0]ᵀ + ¼·[1 4]ᵀ = [1 1]ᵀ, B̄·Ā = [2 1; 2 1]
//   Σ p·B·A = ¾·[1 1; 0 0] + ¼·[5 1; 20 4] = [2 1; 5 1], so E = [0 0; 3 0]
const shares = [0.75, 0.25];
const clientA = [[1, 1], [5, 1]];
const clientB = [[1, 0], [1, 4]];
const heads = [[8, 0, 4, -4], [0, 4, 4, 12]];

/** Aggregates the two clients: whatever isn't given moves to 1 and 5, whose mean is 2. */
async function aggregate(
  method: FederatedMethod,
  state: ServerState,
  given: Record<string, number[][]>,
  cohorts: number[][],
): Promise<void> {
  const aggregation = method.aggregate(state);
  for (const members of cohorts) {
    const values = new Map<string, Tensor>();
    for (const [name, { shape, size }] of trainableParameters(state.model, method.trainable)) {
      const rows = given[name] ?? [1, 5].map((value) => new Array<number>(size).fill(value));
      values.set(name, tensor(gpu, members.flatMap((k) => rows[k]!), { shape: [members.length, ...shape] }));
    }
    aggregation.add({ values, weights: tensor(gpu, members.map((k) => shares[k]!)) });
  }
  await aggregation.finish();
  aggregation.dispose();
}

const clients = { [`${layer}.loraA`]: clientA, [`${layer}.loraB`]: clientB, "head.output.weight": heads };

/** All parameters by name, −0 as 0. */
async function valuesOf(state: ServerState): Promise<Record<string, number[]>> {
  const all = [...state.model.namedParameters()];
  return Object.fromEntries(
    await Promise.all(
      all.map(async ([name, each]) => [name, Array.from(await each.floats(), (value) => value + 0)]),
    ),
  );
}

async function effective(state: ServerState): Promise<number[]> {
  return [...await adaptersOf(state.model).get(layer)!.effectiveWeight().floats()];
}

/** Checks an aggregation by hand-worked global values; all others must stay as they were. */
async function check(
  method: FederatedMethod,
  expected: Record<string, number[]>,
  given = clients,
): Promise<ServerState> {
  for (const cohorts of [[[0, 1]], [[0], [1]]]) {
    const state = await start(method);
    const before = await valuesOf(state);
    const bytes = gpu.stats().liveBytes;
    await aggregate(method, state, given, cohorts);
    const after = await valuesOf(state);
    assert.deepEqual(after, { ...before, ...expected }, `${method.name}, cohorts ${JSON.stringify(cohorts)}`);
    const uploaded = [...trainableParameters(state.model, method.trainable).keys()];
    assert.ok(uploaded.every((name) => name in expected), `${method.name} trains ${uploaded}`);
    assert.ok(
      gpu.stats().liveBytes - bytes <= 256 * 2 * 2 * (uploaded.length + 1),
      "only the clients' tensors are left",
    );
    if (cohorts.length === 2) return state;
  }
  throw new Error("unreachable");
}

// ¾·[8 0 4 −4] + ¼·[0 4 4 12] = [6 1 4 0].
const head = { "head.output.weight": [6, 1, 4, 0], "head.output.bias": [2, 2] };

test("fedIt averages A and B apart, so the global weight misses E", async () => {
  const state = await check(fedIt, { [`${layer}.loraA`]: [2, 1], [`${layer}.loraB`]: [1, 1], ...head });
  // diag(4, 1) + 4·[2 1; 2 1]; the exact mean is diag(4, 1) + 4·[2 1; 5 1].
  assert.deepEqual(await effective(state), [12, 4, 8, 5]);
});

test("feDeRa starts from the SVD and averages A and B apart", async () => {
  const begin = await start(feDeRa);
  // s = 4: B₀ = e₁·√(4/4), A₀ = √(4/4)·e₁ᵀ, W_res = diag(4, 1) − 4·e₁·e₁ᵀ.
  const { [`${layer}.weight`]: weight, [`${layer}.loraA`]: a, [`${layer}.loraB`]: b } = await valuesOf(begin);
  assert.deepEqual([weight, a, b], [[0, 0, 0, 1], [1, 0], [1, 0]]);
  const state = await check(feDeRa, { [`${layer}.loraA`]: [2, 1], [`${layer}.loraB`]: [1, 1], ...head });
  // diag(0, 1) + 4·[2 1; 2 1].
  assert.deepEqual(await effective(state), [8, 4, 8, 5]);
});

test("feDeRaExact folds s·E into the residual: the global weight is the mean of the clients' weights", async () => {
  const method = feDeRaExact as FederatedMethod;
  const state = await check(method, {
    [`${layer}.loraA`]: [2, 1],
    [`${layer}.loraB`]: [1, 1],
    // diag(0, 1) + 4·[0 0; 3 0].
    [`${layer}.weight`]: [0, 0, 12, 1],
    ...head,
  });
  // diag(0, 1) + 4·Σ p·B·A = diag(0, 1) + 4·[2 1; 5 1].
  assert.deepEqual(await effective(state), [8, 4, 20, 5]);
});

test("feDeRaExact sends what a client missed: nothing, corrections as factors, or the residuals where they are smaller", async () => {
  const method = feDeRaExact as FederatedMethod;
  const factors = [`${layer}.loraA`, `${layer}.loraB`, "head.output.weight", "head.output.bias"].sort();
  const names = (state: ServerState, lastRound: number) =>
    [...method.broadcast(state, lastRound).keys()].sort();
  const state = await start(method);
  assert.deepEqual(names(state, 0), factors);
  // Two clients of rank 1 make factors of 4 + 4 values, more than the 4 of the residual.
  await aggregate(method, state, clients, [[0, 1]]);
  for (const lastRound of [0, 1]) {
    assert.deepEqual(names(state, lastRound), [...factors, `${layer}.weight`].sort());
  }
});

test("ffaLora averages B beside a frozen A, which is exact", async () => {
  const state = await check(ffaLora, { [`${layer}.loraB`]: [1, 1], ...head });
  const [a1, a2] = (await valuesOf(state))[`${layer}.loraA`] as [number, number];
  // diag(4, 1) + 4·[1 1]ᵀ·A, the mean of diag(4, 1) + 4·B_k·A: one rounding of each product and sum.
  assert.deepEqual(await effective(state), [4 + 4 * a1, 4 * a2, 4 * a1, 1 + 4 * a2].map(Math.fround));
});

test("fullFineTuning averages every parameter", async () => {
  const size = (name: string) => [...pretrained().namedParameters()].find(([key]) => key === name)![1].size;
  const names = [...pretrained().namedParameters()].map(([name]) => name);
  const twos = Object.fromEntries(names.map((name) => [name, new Array<number>(size(name)).fill(2)]));
  await check(fullFineTuning, { ...twos, ...head });
});

test("biasOnly averages biases and the head and leaves weights alone", async () => {
  await check(biasOnly, {
    "encoder.norm.bias": [2, 2],
    "encoder.inner.bias": [2, 2],
    "encoder.outer.bias": [2, 2],
    ...head,
  });
});

test("init() leaves the pretrained model alone, whatever the method trains", async () => {
  for (const method of methods.values()) {
    const model = pretrained();
    const before = await Promise.all([...model.namedParameters()].map(([, each]) => each.floats()));
    const state = await method.init(model, { targets: [layer], rank: 1, alpha: 4, svd: "exact", seed: 1 });
    await aggregate(method, state, clients, [[0, 1]]);
    const after = await Promise.all([...model.namedParameters()].map(([, each]) => each.floats()));
    assert.deepEqual(after, before, method.name);
  }
});

test("init() refuses to adapt the head, which low-rank methods train whole", async () => {
  for (const name of ["fedit", "federa", "ffa-lora", "federa-exact"]) {
    const options = { targets: ["**"], rank: 1, alpha: 4, svd: "exact", seed: 1 } as const;
    await assert.rejects(async () => methods.get(name)!.init(pretrained(), options), {
      name: "RangeError",
      message: /Cannot adapt the head by "\*\*"/,
    });
  }
});

test("methods holds each method under its own name, with a summary", () => {
  assert.deepEqual([...methods.keys()].sort(), [
    "fedbf",
    "federa",
    "federa-exact",
    "fedit",
    "ffa-lora",
    "fft",
  ]);
  for (const [name, method] of methods) {
    assert.equal(method.name, name);
    assert.ok(method.summary.length > 0);
  }
});
