import assert from "node:assert/strict";
import { test } from "node:test";
import { assign, clone, type Tensor, tensor } from "../../src/engine/mod.ts";
import { adaptersOf, attachAdapters, lora } from "../../src/federa/mod.ts";
import { effectiveWeights, FactorCovariance, measureDynamics, type Variation } from "../../src/fl/mod.ts";
import { holds, testGpu, upload } from "../engine/harness.ts";
import { F64Array } from "../reference/array.ts";
import { gammaN } from "../support/compare.ts";
import {
  adaptedLayer,
  aggregateOracle,
  federation,
  federationCases,
  mix,
  updates,
} from "../support/federation.ts";
import { tinyClassifier } from "../support/tiny_encoder.ts";

const gpu = await testGpu();

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
  await holds(
    federationCases.map((each) => ({ ...each, scale: Math.max(each.scale, 0.01) })),
    async (each) => {
      const federated = await federation(gpu, each);
      const { model } = federated;
      const adapter = adaptersOf(model).get(adaptedLayer)!;
      const origin = new Map([[adaptedLayer, clone(adapter.weight)]]);
      const last = effectiveWeights(model, [adaptedLayer]);
      const covariance = new FactorCovariance(model);
      for (const update of updates(gpu, federated, each)) covariance.add(update);
      const { error, change } = aggregateOracle(federated);
      assign(adapter.loraA, upload(gpu, mix(federated.clients.map(({ a }) => a), federated.shares)));
      assign(adapter.loraB, upload(gpu, mix(federated.clients.map(({ b }) => b), federated.shares)));
      const now = effectiveWeights(model, [adaptedLayer]);
      const found = await measureDynamics(model, covariance, {
        before: last,
        after: now,
        pretrained: origin,
      });
      const norm = ({ data }: F64Array) => Math.hypot(...data);
      const expected = norm(error) / norm(change);
      // Sums of squares round 35 times, half of which a root leaves; E itself: see factor_covariance_test.ts.
      assert.ok(
        Math.abs(found.aggregationError! - expected) <= 1e-5 * (1 + expected),
        `${found.aggregationError} for ${expected}`,
      );
      // The effective weights are f32: their rounding, u·|W| beside a change of at least 0.01·|W|, adds up to 1e-4.
      assert.ok(
        Math.abs(found.appliedError! - expected) <= 1e-4 * (1 + expected),
        `${found.appliedError} for ${expected}`,
      );
      const host = async (x: Map<string, Tensor>) =>
        F64Array.from([5, 7], await x.get(adaptedLayer)!.floats());
      const [w, w1, w0] = [await host(now), await host(last), await host(origin)];
      for (
        const [variation, wanted] of [[found.fromLastRound, variationOf(w, w1)], [
          found.fromPretrained,
          variationOf(w, w0),
        ]] as const
      ) {
        // A norm of 5 elements rounds 4 times, and the difference of two stays within that of either; a unit vector too, so
        // ‖v̂ − ŵ‖²/2 is within 2·√(2·direction)·6u + (6u)².
        const longest =
          Math.max(...w.data.map(Math.abs), ...w1.data.map(Math.abs), ...w0.data.map(Math.abs)) *
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
    },
    40,
  );
});

test("measureDynamics() reports null where nothing moved or nothing is adapted, and 0 variation", async () => {
  const model = await attachAdapters(tinyClassifier(gpu), {
    targets: [adaptedLayer],
    rank: 2,
    alpha: 2,
    initialization: lora,
  });
  const weights = effectiveWeights(model, [adaptedLayer]);
  const options = { before: weights, after: weights, pretrained: weights };
  const still = { magnitude: 0, direction: 0 };
  const covariance = new FactorCovariance(model);
  const none = { aggregationError: null, appliedError: null, fromLastRound: still, fromPretrained: still };
  assert.deepEqual(await measureDynamics(model, covariance, options), none);
  const plain = tinyClassifier(gpu);
  const plainWeights = effectiveWeights(plain, [adaptedLayer]);
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
  const weights = (values: number[]) => new Map([[adaptedLayer, tensor(gpu, values, { shape: [2, 1] })]]);
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

test("measureDynamics() adds up over layers what rounds lose, and averages how far they moved", async () => {
  const layers = ["encoder.inner", "encoder.outer"];
  const model = await attachAdapters(tinyClassifier(gpu, { width: 2, inner: 2 }), {
    targets: layers,
    rank: 1,
    alpha: 2,
    initialization: lora,
  });
  const columns = (...values: readonly number[][]) =>
    new Map(layers.map((name, i) => [name, tensor(gpu, values[i]!, { shape: [2, 1] })]));
  // One layer doubles in length and the other turns by 90 degrees; from the start they have turned by 0 and 180.
  const [pretrained, before, after] = [
    columns([1, 0], [0, -5]),
    columns([2, 0], [3, 0]),
    columns([4, 0], [0, 3]),
  ];
  const [errors, changes] = [columns([0.5, 0], [0, 1]), columns([1, 0], [0, 1.5])];
  const aggregates = () =>
    new Map(layers.map((name) => [name, { error: errors.get(name)!, change: changes.get(name)! }]));
  const liveBytes = gpu.stats().liveBytes;
  const found = await measureDynamics(model, { aggregates } as FactorCovariance, {
    before,
    after,
    pretrained,
  });
  assert.equal(gpu.stats().liveBytes, liveBytes);
  // With the scale 2/1: errors of 1 and 2, changes of 2 and 3; the weights moved by (2, 0), as they were to, and by (−3, 3)
  // where (0, 3) was right.
  const close = (value: number | null, wanted: number) =>
    assert.ok(Math.abs(value! - wanted) <= 1e-6, `${value} for ${wanted}`);
  close(found.aggregationError, Math.sqrt((1 + 4) / (4 + 9)));
  close(found.appliedError, Math.sqrt(9 / (4 + 9)));
  close(found.fromLastRound.magnitude, (2 + 0) / 2);
  close(found.fromLastRound.direction, (0 + 1) / 2);
  close(found.fromPretrained.magnitude, (3 + 2) / 2);
  close(found.fromPretrained.direction, (0 + 2) / 2);
});
