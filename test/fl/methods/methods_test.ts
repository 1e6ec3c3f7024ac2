import assert from "node:assert/strict";
import { test } from "node:test";
import { adaptedLinears } from "../../../src/federa/mod.ts";
import { methods } from "../../../src/fl/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { type ClientUpload, DrivenMethod } from "../../support/driven_method.ts";
import { methodNames, methodOn } from "../../support/methods.ts";
import { diagonalClassifier, tinyClassifier } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const layer = "encoder.inner";

/** W₀ is diag(4, 1). */
const pretrained = () => diagonalClassifier(gpu);

/** Rank 1 and s = 4. */
function start(name: string): Promise<DrivenMethod> {
  const method = methodOn(name, { targets: [layer], rank: 1, alpha: 4, svd: "exact" });
  return DrivenMethod.start(method, pretrained());
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
function aggregate(
  driven: DrivenMethod,
  given: Record<string, number[][]>,
  blockSize: number,
): Promise<void> {
  const uploads = [0, 1].map((k): ClientUpload =>
    new Map(
      [...driven.shared].map(([name, { size }]) => [
        name,
        given[name]?.[k] ?? new Array<number>(size).fill([1, 5][k]!),
      ]),
    )
  );
  return driven.aggregate(uploads, { shares, blockSize });
}

const clients = { [`${layer}.loraA`]: clientA, [`${layer}.loraB`]: clientB, "head.output.weight": heads };

/** All parameters by name, −0 as 0. */
async function valuesOf(driven: DrivenMethod): Promise<Record<string, number[]>> {
  const all = [...driven.global.namedParameters()];
  return Object.fromEntries(
    await Promise.all(
      all.map(async ([name, each]) => [name, Array.from(await each.floats(), (value) => value + 0)]),
    ),
  );
}

async function effective(driven: DrivenMethod): Promise<number[]> {
  return [...await adaptedLinears(driven.global).get(layer)!.effectiveWeight().floats()];
}

/** Checks an aggregation by hand-worked global values; all others must stay as they were. */
async function check(
  name: string,
  expected: Record<string, number[]>,
  given = clients,
): Promise<DrivenMethod> {
  const check = async (blockSize: number) => {
    const driven = await start(name);
    const before = await valuesOf(driven);
    const uploaded = [...driven.shared.keys()];
    const bytes = gpu.stats().liveBytes;
    await aggregate(driven, given, blockSize);
    assert.deepEqual(await valuesOf(driven), { ...before, ...expected }, `${name}, blocks of ${blockSize}`);
    assert.ok(uploaded.every((each) => each in expected), `${name} trains ${uploaded}`);
    assert.equal(gpu.stats().liveBytes, bytes, `${name}: the next state takes the place of the last`);
    return driven;
  };
  await check(2);
  return check(1);
}

// ¾·[8 0 4 −4] + ¼·[0 4 4 12] = [6 1 4 0].
const head = { "head.output.weight": [6, 1, 4, 0], "head.output.bias": [2, 2] };

test("fedIt averages A and B apart, so the global weight misses E", async () => {
  const state = await check("fedit", { [`${layer}.loraA`]: [2, 1], [`${layer}.loraB`]: [1, 1], ...head });
  // diag(4, 1) + 4·[2 1; 2 1]; the exact mean is diag(4, 1) + 4·[2 1; 5 1].
  assert.deepEqual(await effective(state), [12, 4, 8, 5]);
});

test("feDeRa starts from the SVD and averages A and B apart", async () => {
  const begin = await start("federa");
  // s = 4: B₀ = e₁·√(4/4), A₀ = √(4/4)·e₁ᵀ, W_res = diag(4, 1) − 4·e₁·e₁ᵀ.
  const { [`${layer}.weight`]: weight, [`${layer}.loraA`]: a, [`${layer}.loraB`]: b } = await valuesOf(begin);
  assert.deepEqual([weight, a, b], [[0, 0, 0, 1], [1, 0], [1, 0]]);
  const state = await check("federa", { [`${layer}.loraA`]: [2, 1], [`${layer}.loraB`]: [1, 1], ...head });
  // diag(0, 1) + 4·[2 1; 2 1].
  assert.deepEqual(await effective(state), [8, 4, 8, 5]);
});

test("feDeRaExact folds s·E into the residual: the global weight is the mean of the clients' weights", async () => {
  const state = await check("federa-exact", {
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
  const factors = [`${layer}.loraA`, `${layer}.loraB`, "head.output.weight", "head.output.bias"].sort();
  const names = (state: DrivenMethod, lastRound: number) =>
    [...state.plan.download!({ id: 0, numExamples: 1, lastRound }).keys()].sort();
  const state = await start("federa-exact");
  assert.deepEqual(names(state, 0), factors);
  // Two clients of rank 1 make factors of 4 + 4 values, more than the 4 of the residual.
  await aggregate(state, clients, 2);
  for (const lastRound of [0, 1]) {
    assert.deepEqual(names(state, lastRound), [...factors, `${layer}.weight`].sort());
  }
});

test("feDeRaFfa starts from the SVD with A of orthonormal rows, and averages B beside it, which is exact", async () => {
  const begin = await DrivenMethod.start(
    methodOn("federa-ffa", { targets: [layer], rank: 1, alpha: 2, svd: "exact" }),
    pretrained(),
  );
  // s = 2: A = e₁ᵀ, B₀ = e₁·4/2, W_res = diag(4, 1) − 2·2·e₁·e₁ᵀ.
  const { [`${layer}.weight`]: weight, [`${layer}.loraA`]: a, [`${layer}.loraB`]: b } = await valuesOf(begin);
  assert.deepEqual([weight, a, b], [[0, 0, 0, 1], [1, 0], [2, 0]]);
  const state = await check("federa-ffa", { [`${layer}.loraB`]: [1, 1], ...head });
  // s = 4: diag(0, 1) + 4·[1 1]ᵀ·e₁ᵀ, the mean of diag(0, 1) + 4·[1 0]ᵀ·e₁ᵀ and diag(0, 1) + 4·[1 4]ᵀ·e₁ᵀ.
  assert.deepEqual(await effective(state), [4, 0, 4, 1]);
});

test("feDeRaSb starts from the SVD with the singular values between frozen bases, and averages them, which is exact", async () => {
  const begin = await start("federa-sb");
  // s = 4: B = e₁, A = e₁ᵀ, R₀ = 4/4, W_res = diag(4, 1) − 4·e₁·e₁ᵀ.
  const values = await valuesOf(begin);
  assert.deepEqual(
    ["weight", "loraA", "loraR", "loraB"].map((each) => values[`${layer}.${each}`]),
    [[0, 0, 0, 1], [1, 0], [1], [1, 0]],
  );
  assert.deepEqual(await effective(begin), [4, 0, 0, 1]);
  const state = await check("federa-sb", { [`${layer}.loraR`]: [2], ...head });
  // diag(0, 1) + 4·2·e₁·e₁ᵀ, the mean of diag(0, 1) + 4·e₁·e₁ᵀ and diag(0, 1) + 4·5·e₁·e₁ᵀ.
  assert.deepEqual(await effective(state), [8, 0, 0, 1]);
});

test("ffaLora averages B beside a frozen A, which is exact", async () => {
  const state = await check("ffa-lora", { [`${layer}.loraB`]: [1, 1], ...head });
  const [a1, a2] = (await valuesOf(state))[`${layer}.loraA`] as [number, number];
  // diag(4, 1) + 4·[1 1]ᵀ·A, the mean of diag(4, 1) + 4·B_k·A: one rounding of each product and sum.
  assert.deepEqual(await effective(state), [4 + 4 * a1, 4 * a2, 4 * a1, 1 + 4 * a2].map(Math.fround));
});

test("roLora averages B beside a common A, then A beside a common B, and sends what changed since the client was there", async () => {
  const state = await check("rolora", { [`${layer}.loraB`]: [1, 1], ...head });
  const [a1, a2] = (await valuesOf(state))[`${layer}.loraA`] as [number, number];
  assert.deepEqual(await effective(state), [4 + 4 * a1, 4 * a2, 4 * a1, 1 + 4 * a2].map(Math.fround));
  const heads = ["head.output.bias", "head.output.weight"];
  const download = (lastRound: number) =>
    [...state.plan.download!({ id: 0, numExamples: 1, lastRound }).keys()].sort();
  // Round 2 trains A. B has changed in round 1, A never.
  assert.deepEqual([...state.shared.keys()].sort(), [`${layer}.loraA`, ...heads]);
  assert.deepEqual(download(1), [`${layer}.loraB`, ...heads]);
  await aggregate(state, clients, 1);
  assert.deepEqual((await valuesOf(state))[`${layer}.loraA`], [2, 1]);
  assert.deepEqual((await valuesOf(state))[`${layer}.loraB`], [1, 1]);
  // diag(4, 1) + 4·[1 1]ᵀ·[2 1], the mean of the clients' weights.
  assert.deepEqual(await effective(state), [12, 4, 8, 5]);
  assert.deepEqual(download(2), [`${layer}.loraA`, ...heads]);
  assert.deepEqual(download(0), [`${layer}.loraA`, `${layer}.loraB`, ...heads]);
});

test("fedSaLora averages A alone; B and the head stay with their clients", async () => {
  const state = await check("fedsa-lora", { [`${layer}.loraA`]: [2, 1] });
  const { trained, shared } = state.plan;
  assert.deepEqual(shared, [`${layer}.loraA`]);
  assert.deepEqual(
    [...trained].sort(),
    ["encoder.inner.loraA", "encoder.inner.loraB", "head.output.bias", "head.output.weight"],
  );
});

test("fedExLora adds s·E to the pretrained weight: the global weight is the mean of the clients' weights", async () => {
  const state = await start("fedex-lora");
  await aggregate(state, clients, 1);
  const after = await valuesOf(state);
  assert.deepEqual(after[`${layer}.loraA`], [2, 1]);
  assert.deepEqual(after[`${layer}.loraB`], [1, 1]);
  assert.deepEqual(after["head.output.weight"], head["head.output.weight"]);
  // diag(4, 1) + 4·[0 0; 3 0], and the mean of the clients' weights, diag(4, 1) + 4·[2 1; 5 1]: A begins at random, so the
  // changes of A round.
  near(after[`${layer}.weight`]!, [4, 0, 12, 1]);
  near(await effective(state), [12, 4, 20, 5]);
});

const near = (found: ArrayLike<number>, wanted: readonly number[], bound = 1e-5) =>
  wanted.forEach((value, i) =>
    assert.ok(Math.abs(found[i]! - value) <= bound, `${Array.from(found)}, ${wanted}`)
  );

test("fLora merges the stack, whose product is the exact mean, and begins anew with B = 0 and another A", async () => {
  const state = await start("flora");
  const before = await valuesOf(state);
  await aggregate(state, clients, 1);
  const after = await valuesOf(state);
  // diag(4, 1) + 4·Σ p·B·A = diag(4, 1) + 4·[2 1; 5 1].
  near(after[`${layer}.weight`]!, [12, 4, 20, 5]);
  assert.deepEqual(after[`${layer}.loraB`], [0, 0]);
  assert.notDeepEqual(after[`${layer}.loraA`], before[`${layer}.loraA`]);
  near(await effective(state), [12, 4, 20, 5]);
  assert.deepEqual(after["head.output.weight"], head["head.output.weight"]);
});

test("flexLora takes the exact mean apart: rank 1 of [2 1; 5 1] is its leading triplet", async () => {
  const state = await start("flexlora");
  await aggregate(state, clients, 1);
  // M = [2 1; 5 1]: MᵀM = [29 7; 7 2], of eigenvalues (31 ± √925)/2, so σ₁² = 30.7069.
  const sigma = Math.sqrt((31 + Math.sqrt(925)) / 2);
  // The eigenvector of MᵀM by (29 − λ)·v₁ + 7·v₂ = 0.
  const v = [7, sigma ** 2 - 29].map((each) => each / Math.hypot(7, sigma ** 2 - 29));
  const u = [2 * v[0]! + v[1]!, 5 * v[0]! + v[1]!].map((each) => each / sigma);
  const best = u.flatMap((left) => v.map((right) => sigma * left * right));
  near(await effective(state), [4 + 4 * best[0]!, 4 * best[1]!, 4 * best[2]!, 1 + 4 * best[3]!]);
  const { [`${layer}.loraA`]: a, [`${layer}.loraB`]: b } = await valuesOf(state);
  near([Math.hypot(...a!), Math.hypot(...b!)], [Math.sqrt(sigma), Math.sqrt(sigma)]);
});

test("hetLora weighs clients by the size of their updates", async () => {
  const state = await start("hetlora");
  await aggregate(state, clients, 1);
  // ‖B₁·A₁‖ = ‖[1 1; 0 0]‖ = √2; ‖B₂·A₂‖ = ‖[5 1; 20 4]‖ = √442.
  const [w1, w2] = [Math.SQRT2, Math.sqrt(442)].map((norm) => norm / (Math.SQRT2 + Math.sqrt(442))) as [
    number,
    number,
  ];
  const after = await valuesOf(state);
  near(after[`${layer}.loraA`]!, [w1 + 5 * w2, 1], 1e-6);
  near(after[`${layer}.loraB`]!, [1, 4 * w2], 1e-6);
  // The head is averaged by examples.
  assert.deepEqual(after["head.output.weight"], head["head.output.weight"]);
});

test("local shares nothing, so that the global model stays; central is averaging, of one party", async () => {
  await check("local", {});
  await check("central", { [`${layer}.loraA`]: [2, 1], [`${layer}.loraB`]: [1, 1], ...head });
});

test("fullFineTuning averages every parameter", async () => {
  const size = (name: string) => [...pretrained().namedParameters()].find(([key]) => key === name)![1].size;
  const names = [...pretrained().namedParameters()].map(([name]) => name);
  const twos = Object.fromEntries(names.map((name) => [name, new Array<number>(size(name)).fill(2)]));
  await check("full", { ...twos, ...head });
});

test("biasOnly averages biases and the head and leaves weights alone", async () => {
  await check("fedbf", {
    "encoder.norm.bias": [2, 2],
    "encoder.inner.bias": [2, 2],
    "encoder.outer.bias": [2, 2],
    ...head,
  });
});

test("init() and apply() leave the pretrained model alone, whatever the method trains", async () => {
  for (const name of methodNames) {
    const model = tinyClassifier(gpu, { width: 2, inner: 2, classes: 2, attention: true });
    const before = await Promise.all([...model.namedParameters()].map(([, each]) => each.floats()));
    const method = methodOn(name, { targets: [layer], rank: 1, alpha: 4, svd: "exact", parts: 1 });
    await aggregate(await DrivenMethod.start(method, model), clients, 2);
    const after = await Promise.all([...model.namedParameters()].map(([, each]) => each.floats()));
    assert.deepEqual(after, before, name);
  }
});

test("init() refuses to adapt the head, which low-rank methods train whole", async () => {
  for (const name of ["fedit", "federa", "ffa-lora", "federa-exact"]) {
    const method = methodOn(name, { targets: ["**"], rank: 1, alpha: 4, svd: "exact" });
    await assert.rejects(async () => method.init(pretrained(), { seed: 1, numClients: 2 }), {
      name: "RangeError",
      message: /Cannot adapt the head by "\*\*"/,
    });
  }
});

test("methods holds each method under its own name, which its factory refuses wrong options for", () => {
  for (const [name, factory] of methods) {
    const { definition } = factory;
    assert.equal(definition.name, name);
    assert.equal(factory().name, name);
    for (const text of [definition.trains, definition.server]) assert.ok(text.length > 0);
    assert.throws(() => factory({ rnak: 3 }), {
      name: "RangeError",
      message: /Cannot make the method .+rnak/,
    });
  }
});

test("methods that send each client's change on to all others say so", () => {
  const shown = methodNames.filter((name) => methodOn(name, {}).showsChanges);
  assert.deepEqual(shown.sort(), ["federa-exact", "fedex-lora", "flora"]);
});
