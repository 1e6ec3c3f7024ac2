import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { tensor } from "../../../src/engine/mod.ts";
import { adaptersOf, LowRankLinear } from "../../../src/federa/mod.ts";
import { aggregationError } from "../../../src/fl/measures/aggregation_error.ts";
import type { Figures, MeasuredPlan } from "../../../src/fl/measures/measure.ts";
import type { Uploads } from "../../../src/fl/mod.ts";
import type { TaskModel } from "../../../src/tasks/mod.ts";
import { holds, testGpu, upload } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { matmul } from "../../reference/matmul.ts";
import { F32_UNIT_ROUNDOFF, gammaN } from "../../support/compare.ts";
import {
  adaptedLayer,
  aggregateOracle,
  clientsFrom,
  type Factors,
  type Federation,
  federation,
  type FederationCase,
  federationCases,
  mix,
  subtract,
  updates,
} from "../../support/federation.ts";
import { Random } from "../../support/random.ts";
import { tinyClassifier } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();

/** The model with other factors, and with something added to the frozen weight. */
function moved(model: TaskModel, { a, b }: Factors, weight?: F64Array): TaskModel {
  const values = new Map([[`${adaptedLayer}.loraA`, a], [`${adaptedLayer}.loraB`, b]]);
  if (weight) values.set(`${adaptedLayer}.weight`, weight);
  return model.mapParameters((name, parameter) => {
    const value = values.get(name);
    return value ? upload(gpu, value) : parameter;
  });
}

async function measure(
  model: TaskModel,
  uploads: Iterable<Uploads>,
  after: TaskModel,
  plan: MeasuredPlan = {},
): Promise<Figures> {
  const measure = aggregationError();
  const live = gpu.stats().liveBytes;
  measure.begin(model, plan);
  for (const each of uploads) {
    measure.add(each);
    for (const value of [...each.values.values(), each.weights]) value.dispose();
  }
  const figures = await measure.end(after);
  measure.dispose();
  assert.ok(gpu.stats().liveBytes <= live, "bytes alive afterwards");
  return figures;
}

const round = (x: F64Array) => F64Array.fromF32(x.shape, x.data);
const norm = ({ data }: F64Array) => Math.hypot(...data);
/** What plain averaging makes of the clients' factors. */
const averaged = ({ clients, shares }: Federation): Factors => ({
  a: round(mix(clients.map(({ a }) => a), shares)),
  b: round(mix(clients.map(({ b }) => b), shares)),
});
/**
 * Everything is a sum of products of differences from the first client, so within some √k roundings of the largest of them, which
 * is of the size of the change; then a sum of squares, and a root. The means that a method stores are rounded, which is a part
 * of its error and met as it is.
 */
function assertNear(value: number | null, expected: number): void {
  assert.ok(Math.abs(value! - expected) <= 1e-5 * expected + gammaN(16), `${value} for ${expected}`);
}

// Stacks of up to 14 terms stay factors, wider ones become a matrix.
const cases: fc.Arbitrary<FederationCase & { readonly fold: number }> = fc.tuple(
  federationCases,
  fc.constantFrom<[number, number]>([5, 7], [29, 31], [40, 33]),
  fc.constantFrom(0, 0, 1e-3, 1),
).map(([each, shape, fold]) => ({ ...each, shape, fold }));

test("aggregationError() is what float64 finds by the definitions, whatever moves and however little", async () => {
  await holds(cases, async (each) => {
    const federated = await federation(gpu, each);
    const { model, start } = federated;
    const { error, change } = aggregateOracle(federated);
    const random = new Random(each.seed + 1);
    const adapter = adaptersOf(model).get(adaptedLayer)!;
    const weight = F64Array.from(adapter.weight.shape, await adapter.weight.floats());
    // The method does something else than to average, and changes the frozen weight too.
    const stray = (x: F64Array) => round(x.map((value) => value + each.fold * each.scale * random.normal()));
    const { a, b } = averaged(federated);
    const next = each.fold === 0 ? { a, b } : { a: stray(a), b: stray(b) };
    const folded = each.fold === 0
      ? undefined
      : round(weight.map((value) => value + each.fold * each.scale * random.normal()));
    const found = await measure(model, updates(gpu, federated, each), moved(model, next, folded));
    const scaling = adapter.sharedScaling;
    const applied = subtract(
      subtract(matmul(next.b, next.a), matmul(start.b, start.a)).map((value, i) =>
        value + (folded ? (folded.data[i]! - weight.data[i]!) / scaling : 0)
      ),
      change,
    );
    assertNear(found.aggregationError!, norm(error) / norm(change));
    assertNear(found.appliedError!, norm(applied) / norm(change));
    if (each.trained !== "both") assert.equal(found.aggregationError, 0);
  }, 60);
});

test("aggregationError() is the same to the bit however clients are grouped, and nearly so in another order", async () => {
  await holds(cases, async (each) => {
    const federated = await federation(gpu, each);
    const after = moved(federated.model, averaged(federated));
    const found = await measure(federated.model, updates(gpu, federated, each), after);
    const apart = await measure(federated.model, updates(gpu, federated, { ...each, blockSize: 1 }), after);
    assert.deepEqual(apart, found);
    const reversed = {
      ...federated,
      clients: [...federated.clients].reverse(),
      shares: [...federated.shares].reverse(),
    };
    const other = await measure(federated.model, updates(gpu, reversed, each), after);
    for (const key of ["aggregationError", "appliedError"] as const) {
      assertNear(other[key]!, found[key]!);
    }
  }, 20);
});

test("aggregationError() is exactly zero for one client, and for equal ones", async () => {
  const base = { rank: 3, scale: 0.1, trained: "both", blockSize: 2, seed: 4 } as const;
  for (const counts of [[7], [3, 4, 9, 1, 1]]) {
    const federated = await federation(gpu, { ...base, counts });
    const equal = { ...federated, clients: counts.map(() => federated.clients[0]!) };
    const found = await measure(
      federated.model,
      updates(gpu, equal, { ...base, counts }),
      moved(federated.model, averaged(equal)),
    );
    assert.equal(found.aggregationError, 0);
    assert.ok(found.appliedError! <= 1e-6, `${found.appliedError}`);
  }
});

test("aggregationError() divides by the shares of those who came", async () => {
  const each = { counts: [3, 4, 9], rank: 2, scale: 0.1, trained: "both", blockSize: 1, seed: 2 } as const;
  const federated = await federation(gpu, each);
  const shares = federated.shares.slice(0, 2);
  const total = shares[0]! + shares[1]!;
  const came = {
    ...federated,
    clients: federated.clients.slice(0, 2),
    shares: shares.map((share) => share / total),
  };
  const after = moved(federated.model, averaged(came));
  const { error, change } = aggregateOracle(came);
  const found = await measure(federated.model, updates(gpu, { ...came, shares }, each), after);
  const expected = norm(error) / norm(change);
  assert.ok(Math.abs(found.aggregationError! - expected) <= 1e-5 * expected, `${found.aggregationError}`);
  assert.ok(Math.abs(found.appliedError! - expected) <= 1e-5 * expected, `${found.appliedError}`);
});

test("aggregationError() tells an exact method's error, the rounding of the weights", async () => {
  const each = { counts: [3, 4, 9], rank: 2, scale: 0.1, trained: "both", blockSize: 3, seed: 9 } as const;
  const federated = await federation(gpu, each);
  const { model } = federated;
  const adapter = adaptersOf(model).get(adaptedLayer)!;
  const { error, change } = aggregateOracle(federated);
  const weight = await adapter.weight.floats();
  const scaling = adapter.sharedScaling;
  const folded = round(error.map((value, i) => weight[i]! + scaling * value));
  const found = await measure(
    model,
    updates(gpu, federated, each),
    moved(model, averaged(federated), folded),
  );
  assert.ok(found.aggregationError! > 1e-3, `${found.aggregationError}`);
  // Of each weight and each mean, over the change.
  const { a, b } = averaged(federated);
  const rounded = (Math.hypot(...weight) / scaling + 2 * norm(a) * norm(b)) * F32_UNIT_ROUNDOFF /
    norm(change);
  assert.ok(found.appliedError! > 0 && found.appliedError! <= rounded, `${found.appliedError} of ${rounded}`);
});

test("aggregationError() worked by hand: two clients of one term each", async () => {
  // B = [0, 0], A = [1, 0]; clients reach B = [2, 0], A = [1, 1] and B = [0, 2], A = [1, −1], with equal shares.
  const model = (await federation(gpu, {
    counts: [1, 1],
    rank: 1,
    scale: 1,
    trained: "both",
    blockSize: 2,
    seed: 1,
    shape: [2, 2],
  })).model;
  const before = moved(model, { a: F64Array.from([1, 2], [1, 0]), b: F64Array.from([2, 1], [0, 0]) });
  const after = moved(model, { a: F64Array.from([1, 2], [1, 0]), b: F64Array.from([2, 1], [1, 1]) });
  const uploads = {
    clients: clientsFrom(0, 2),
    values: new Map([
      [`${adaptedLayer}.loraA`, tensor(gpu, [1, 1, 1, -1], { shape: [2, 1, 2] })],
      [`${adaptedLayer}.loraB`, tensor(gpu, [2, 0, 0, 2], { shape: [2, 2, 1] })],
    ]),
    shares: [0.5, 0.5],
    weights: tensor(gpu, [0.5, 0.5]),
  };
  // Σ p·B·A = [[1, 1], [1, −1]], B̄·Ā = [[1, 0], [1, 0]]: E = [[0, 1], [0, −1]] of a change of norm 2. It's lost in full.
  const found = await measure(before, [uploads], after);
  assert.ok(Math.abs(found.aggregationError! - Math.SQRT1_2) <= 1e-6, `${found.aggregationError}`);
  assert.ok(Math.abs(found.appliedError! - Math.SQRT1_2) <= 1e-6, `${found.appliedError}`);
});

test("aggregationError() measures a method that gives the adapter another rank and scale", async () => {
  const each = { counts: [3, 4], rank: 2, scale: 0.5, trained: "both", blockSize: 2, seed: 8 } as const;
  const federated = await federation(gpu, each);
  const { model, start } = federated;
  const { error, change } = aggregateOracle(federated);
  const random = new Random(2);
  const draw = (shape: number[]) => round(F64Array.full(shape).map(() => random.normal()));
  const next = { a: draw([3, 7]), b: draw([5, 3]) };
  const after = model.mapModules((_, module) =>
    module instanceof LowRankLinear
      ? new LowRankLinear({ ...module, loraA: upload(gpu, next.a), loraB: upload(gpu, next.b), scaling: 2 })
      : module
  );
  const found = await measure(model, updates(gpu, federated, each), after);
  const product = matmul(next.b, next.a).map((value) => value * 2 / 3);
  const applied = subtract(subtract(product, matmul(start.b, start.a)), change);
  assertNear(found.aggregationError!, norm(error) / norm(change));
  assertNear(found.appliedError!, norm(applied) / norm(change));
});

test("aggregationError() counts the update of a client of its own rank by its own scale", async () => {
  const each = { counts: [3, 4, 9], rank: 3, scale: 1, trained: "both", blockSize: 2, seed: 3 } as const;
  const federated = await federation(gpu, each);
  // Of rank 1, 2 and 3; the scales are alpha/r_k, alpha = 9 and s = 3.
  const own = federated.clients.map(({ a, b }, k) => ({
    a: a.map((value, i) => i < (k + 1) * 7 ? value : 0),
    b: b.map((value, i) => i % 3 <= k ? value : 0),
  }));
  const uploads = updates(gpu, { ...federated, clients: own }, each);
  const ranks = { of: (client: number) => client + 1, scaling: (client: number) => 9 / (client + 1) };
  const scaled = own.map(({ a, b }, k) => ({ a, b: b.map((value) => value * 3 / (k + 1)) }));
  const { error, change } = aggregateOracle({ ...federated, clients: scaled });
  const after = moved(federated.model, averaged({ ...federated, clients: scaled }));
  const found = await measure(federated.model, uploads, after, { ranks });
  assertNear(found.aggregationError!, norm(error) / norm(change));
  assertNear(found.appliedError!, norm(error) / norm(change));
});

test("aggregationError() is null where nothing moved or nothing is adapted", async () => {
  const none = { aggregationError: null, appliedError: null };
  const plain = tinyClassifier(gpu);
  assert.deepEqual(await measure(plain, [], plain), none);
  const each = { counts: [2, 3], rank: 2, scale: 0, trained: "both", blockSize: 2, seed: 1 } as const;
  const federated = await federation(gpu, each);
  assert.deepEqual(await measure(federated.model, updates(gpu, federated, each), federated.model), none);
});

test("aggregationError() frees a round that is given up when the next begins", async () => {
  const each = { counts: [2, 3], rank: 2, scale: 1, trained: "both", blockSize: 2, seed: 1 } as const;
  const federated = await federation(gpu, each);
  const measure = aggregationError();
  const uploads = [...updates(gpu, federated, each)];
  const live = gpu.stats().liveBytes;
  for (let i = 0; i < 3; i++) {
    measure.begin(federated.model);
    for (const each of uploads) measure.add(each);
  }
  measure.begin(federated.model);
  assert.equal(gpu.stats().liveBytes, live);
});
