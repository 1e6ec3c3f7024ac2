import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { assign, clone, type Tensor, tensor } from "../../src/engine/mod.ts";
import { adaptersOf, attachAdapters, lora } from "../../src/federa/mod.ts";
import { effectiveWeights, FactorCovariance, measureDynamics, type Variation } from "../../src/fl/mod.ts";
import { bitsOf, holds, testGpu, upload } from "../engine/harness.ts";
import { F64Array } from "../reference/array.ts";
import { matmul } from "../reference/matmul.ts";
import { assertClose, gammaN } from "../support/compare.ts";
import { gaussian } from "../support/matrices.ts";
import { Random } from "../support/random.ts";
import { tinyClassifier } from "../support/tiny_encoder.ts";

const gpu = await testGpu();
const name = "encoder.inner";

interface Case {
  readonly counts: readonly number[];
  readonly rank: number;
  readonly scale: number;
  readonly trained: "both" | "A" | "B";
  readonly cohortSize: number;
  readonly seed: number;
}

const cases: fc.Arbitrary<Case> = fc.record({
  counts: fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 9 }),
  rank: fc.integer({ min: 1, max: 5 }),
  /** Length of the updates beside factors of length 1. */
  scale: fc.constantFrom(1e-4, 0.01, 1, 10),
  trained: fc.constantFrom("both", "A", "B"),
  cohortSize: fc.integer({ min: 1, max: 9 }),
  seed: fc.nat(),
});

/** A model of random factors and what each client made of them, on the host. */
async function federation({ counts, rank, scale, trained, seed }: Case) {
  const random = new Random(seed);
  const draw = (shape: readonly number[]) => F64Array.fromF32(shape, gaussian(shape, random).data);
  const model = await attachAdapters(tinyClassifier(gpu, { width: 7, inner: 5, seed }), {
    targets: [name],
    rank,
    alpha: 3 * rank,
    initialization: lora,
  });
  const start = { a: draw([rank, 7]), b: draw([5, rank]) };
  const { loraA, loraB } = adaptersOf(model).get(name)!;
  assign(loraA, upload(gpu, start.a));
  assign(loraB, upload(gpu, start.b));
  const move = (x: F64Array, moves: boolean) =>
    moves ? F64Array.fromF32(x.shape, draw(x.shape).map((value, i) => x.data[i]! + scale * value).data) : x;
  const clients = counts.map(() => ({
    a: move(start.a, trained !== "B"),
    b: move(start.b, trained !== "A"),
  }));
  const total = counts.reduce((sum, count) => sum + count, 0);
  return { model, start, clients, shares: counts.map((count) => count / total) };
}

/** Adds all clients to a covariance, in cohorts. */
function addAll(
  covariance: FactorCovariance,
  { clients, shares }: Awaited<ReturnType<typeof federation>>,
  { cohortSize, trained }: Case,
): void {
  for (let from = 0; from < clients.length; from += cohortSize) {
    const members = clients.slice(from, from + cohortSize);
    const stack = (key: "a" | "b") =>
      upload(
        gpu,
        F64Array.from(
          [members.length, ...members[0]![key].shape],
          members.flatMap((each) => [...each[key].data]),
        ),
      );
    const values = new Map([
      ...trained === "B" ? [] : [[`${name}.loraA`, stack("a")] as const],
      ...trained === "A" ? [] : [[`${name}.loraB`, stack("b")] as const],
    ]);
    covariance.add({ values, weights: tensor(gpu, shares.slice(from, from + cohortSize)) });
  }
}

/** Σ w_k·x_k. */
function mix(xs: readonly F64Array[], weights: readonly number[]): F64Array {
  return xs[0]!.map((_, i) => xs.reduce((total, x, k) => total + weights[k]! * x.data[i]!, 0));
}

function sub(x: F64Array, y: F64Array): F64Array {
  return x.map((value, i) => value - y.data[i]!);
}

/** E and the exact change in float64, straight from their definitions. */
function oracle({ start, clients, shares }: Awaited<ReturnType<typeof federation>>) {
  const products = mix(clients.map(({ a, b }) => matmul(b, a)), shares);
  const averaged = matmul(mix(clients.map(({ b }) => b), shares), mix(clients.map(({ a }) => a), shares));
  return { error: sub(products, averaged), change: sub(products, matmul(start.b, start.a)), averaged };
}

test("FactorCovariance gives Σ p·B·A − B̄·Ā and Σ p·B·A − B·A, also of small updates", async () => {
  await holds(cases, async (each) => {
    const federated = await federation(each);
    const covariance = new FactorCovariance(federated.model);
    addAll(covariance, federated, each);
    const { error, change } = covariance.aggregates().get(name)!;
    const expected = oracle(federated);
    // The update of a factor counts from the start, which rounds it once; each of its K·r products then carries K·r + K + 4
    // roundings. The oracle, which subtracts whole products, is itself exact to some 2⁻⁵³ of |B|·|A|, below 1e-12 here.
    const { start, clients, shares } = federated;
    const size = (key: "a" | "b") =>
      mix(clients.map((client) => sub(client[key], start[key]).map(Math.abs)), shares);
    const [moveA, moveB] = [size("a"), size("b")];
    const all = mix(
      clients.map((client) =>
        matmul(sub(client.b, start.b).map(Math.abs), sub(client.a, start.a).map(Math.abs))
      ),
      shares,
    );
    const n = (clients.length + 1) * (each.rank + 1) + 6;
    const errorSize = all.map((value, i) => value + matmul(moveB, moveA).data[i]!);
    const [startA, startB] = [start.a.map(Math.abs), start.b.map(Math.abs)];
    const changeSize = errorSize.map((value, i) =>
      value + matmul(startB, moveA).data[i]! + matmul(moveB, startA).data[i]!
    );
    assertClose(await error.floats(), expected.error, {
      absolute: errorSize.map((value) => gammaN(n) * value + 1e-12).data,
    });
    assertClose(await change.floats(), expected.change, {
      absolute: changeSize.map((value) => gammaN(n) * value + 1e-12).data,
    });
    // Averaging one factor alone loses nothing at all.
    if (each.trained !== "both") assert.ok((await error.floats()).every((value) => value === 0));
    const apart = new FactorCovariance(federated.model);
    addAll(apart, federated, { ...each, cohortSize: 1 });
    const other = apart.aggregates().get(name)!;
    assert.deepEqual(bitsOf(await other.error.floats()), bitsOf(await error.floats()));
    assert.deepEqual(bitsOf(await other.change.floats()), bitsOf(await change.floats()));
    covariance.dispose();
    apart.dispose();
  });
});

/** Means over columns of |‖v‖ − ‖w‖| and 1 − cos(v, w), straight from their definitions. */
function variationOf(v: F64Array, w: F64Array): Variation {
  const [rows, columns] = v.shape as [number, number];
  let [magnitude, direction] = [0, 0];
  for (let j = 0; j < columns; j++) {
    const column = (x: F64Array) => Array.from({ length: rows }, (_, i) => x.data[i * columns + j]!);
    const [a, b] = [column(v), column(w)];
    magnitude += Math.abs(Math.hypot(...a) - Math.hypot(...b)) / columns;
    direction += (1 - a.reduce((sum, value, i) =>
          sum + value * b[i]!, 0) / (Math.hypot(...a) * Math.hypot(...b))) / columns;
  }
  return { magnitude, direction };
}

test("measureDynamics() measures aggregation, its application, and how far weights moved, as float64 does", async () => {
  await holds(cases.map((each) => ({ ...each, scale: Math.max(each.scale, 0.01) })), async (each) => {
    const federated = await federation(each);
    const { model } = federated;
    const adapter = adaptersOf(model).get(name)!;
    const origin = new Map([[name, clone(adapter.weight)]]);
    const last = effectiveWeights(model, [name]);
    const covariance = new FactorCovariance(model);
    addAll(covariance, federated, each);
    const { error, change } = oracle(federated);
    assign(adapter.loraA, upload(gpu, mix(federated.clients.map(({ a }) => a), federated.shares)));
    assign(adapter.loraB, upload(gpu, mix(federated.clients.map(({ b }) => b), federated.shares)));
    const now = effectiveWeights(model, [name]);
    const found = await measureDynamics(model, covariance, { before: last, after: now, pretrained: origin });
    const norm = ({ data }: F64Array) => Math.hypot(...data);
    const expected = norm(error) / norm(change);
    // Sums of squares round 35 times, half of which a root leaves; E itself is as exact as the test above says, relative to ‖ΔW‖.
    assert.ok(
      Math.abs(found.aggregationError! - expected) <= 1e-5 * (1 + expected),
      `${found.aggregationError} for ${expected}`,
    );
    // The effective weights are f32: their rounding, u·|W| beside a change of at least 0.01·|W|, adds up to 1e-4.
    assert.ok(
      Math.abs(found.appliedError! - expected) <= 1e-4 * (1 + expected),
      `${found.appliedError} for ${expected}`,
    );
    const host = async (x: Map<string, Tensor>) => F64Array.from([5, 7], await x.get(name)!.floats());
    const [w, w1, w0] = [await host(now), await host(last), await host(origin)];
    for (
      const [variation, wanted] of [[found.fromLastRound, variationOf(w, w1)], [
        found.fromPretrained,
        variationOf(w, w0),
      ]] as const
    ) {
      // A norm of 5 elements rounds 4 times, and the difference of two stays within that of either; a unit vector too, so
      // ‖v̂ − ŵ‖²/2 is within 2·√(2·direction)·6u + (6u)².
      const longest = Math.max(...w.data.map(Math.abs), ...w1.data.map(Math.abs), ...w0.data.map(Math.abs)) *
        Math.sqrt(5);
      assert.ok(
        Math.abs(variation.magnitude - wanted.magnitude) <= gammaN(12) * longest,
        `magnitude ${variation.magnitude}, ${wanted.magnitude}`,
      );
      const allowed = gammaN(12) * (wanted.direction + Math.sqrt(2 * wanted.direction)) + gammaN(12) ** 2 +
        1e-15;
      assert.ok(
        Math.abs(variation.direction - wanted.direction) <= allowed,
        `direction ${variation.direction}, ${wanted.direction}`,
      );
    }
    covariance.dispose();
  }, 40);
});

test("measureDynamics() reports null where nothing moved or nothing is adapted, and 0 variation", async () => {
  const model = await attachAdapters(tinyClassifier(gpu), {
    targets: [name],
    rank: 2,
    alpha: 2,
    initialization: lora,
  });
  const weights = effectiveWeights(model, [name]);
  const options = { before: weights, after: weights, pretrained: weights };
  const still = { magnitude: 0, direction: 0 };
  const covariance = new FactorCovariance(model);
  const none = { aggregationError: null, appliedError: null, fromLastRound: still, fromPretrained: still };
  assert.deepEqual(await measureDynamics(model, covariance, options), none);
  const plain = tinyClassifier(gpu);
  const plainWeights = effectiveWeights(plain, [name]);
  const empty = new FactorCovariance(plain);
  assert.deepEqual(
    await measureDynamics(plain, empty, {
      before: plainWeights,
      after: plainWeights,
      pretrained: plainWeights,
    }),
    none,
  );
});

test("measureDynamics() keeps the direction of a turn by 1e-4 to one part in a thousand", async () => {
  const model = tinyClassifier(gpu, { width: 1, inner: 2 });
  const weights = (values: number[]) => new Map([[name, tensor(gpu, values, { shape: [2, 1] })]]);
  const before = weights([1, 0]);
  const after = weights([Math.cos(1e-4), Math.sin(1e-4)]);
  const { fromLastRound } = await measureDynamics(model, new FactorCovariance(model), {
    before,
    after,
    pretrained: before,
  });
  // 1 − cos(1e-4) = 5e-9, which f32 can't tell from 0 as a difference.
  assert.ok(Math.abs(fromLastRound.direction / 5e-9 - 1) <= 1e-3, `${fromLastRound.direction}`);
});
