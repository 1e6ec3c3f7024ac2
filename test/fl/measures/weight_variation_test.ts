import assert from "node:assert/strict";
import { test } from "node:test";
import { type Tensor, tensor, toHalf } from "../../../src/engine/mod.ts";
import { adaptersOf } from "../../../src/federa/mod.ts";
import type { Figures } from "../../../src/fl/measures/measure.ts";
import { weightVariation } from "../../../src/fl/measures/weight_variation.ts";
import type { TaskModel } from "../../../src/tasks/mod.ts";
import { holds, testGpu, upload } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { gammaN } from "../../support/compare.ts";
import {
  adaptedLayer,
  effectiveWeight,
  type Factors,
  federation,
  federationCases,
  mix,
} from "../../support/federation.ts";
import { tinyClassifier } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();

async function measure(pretrained: TaskModel, before: TaskModel, after: TaskModel): Promise<Figures> {
  const live = gpu.stats().liveBytes;
  const measure = weightVariation({ pretrained, initial: before });
  measure.begin(before);
  const figures = await measure.end(after);
  measure.dispose();
  assert.equal(gpu.stats().liveBytes, live, "bytes alive afterwards");
  return figures;
}

function withValues(model: TaskModel, values: Readonly<Record<string, Tensor>>): TaskModel {
  return model.mapParameters((name, parameter) => values[name] ?? parameter);
}

/**
 * Means over columns of |‖v‖ − ‖w‖| and 1 − cos(v, w), straight from their definitions; the longest column, and the mean of
 * ‖v − w‖²/(‖v‖·‖w‖).
 */
function variationOf(v: F64Array, w: F64Array) {
  const [rows, columns] = v.shape as [number, number];
  let [magnitude, direction, longest, stretch] = [0, 0, 0, 0];
  for (let j = 0; j < columns; j++) {
    const column = (x: F64Array) => Array.from({ length: rows }, (_, i) => x.data[i * columns + j]!);
    const [a, b] = [column(v), column(w)];
    const [m, n] = [Math.hypot(...a), Math.hypot(...b)];
    magnitude += Math.abs(m - n) / columns;
    // As ‖a/m − b/n‖²/2, which keeps small angles.
    direction += a.reduce((sum, value, i) => sum + (value / m - b[i]! / n) ** 2, 0) / 2 / columns;
    longest = Math.max(longest, m, n);
    stretch += a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0) / (m * n) / columns;
  }
  return { magnitude, direction, longest, stretch };
}

test("weightVariation() is what float64 finds of the effective weights, however little they move", async () => {
  const cases = federationCases.map((each) => ({ ...each, shape: [9, 14] as const }));
  await holds(cases, async (each) => {
    const { pretrained, model, start, clients, shares } = await federation(gpu, each);
    const { weight, sharedScaling } = adaptersOf(model).get(adaptedLayer)!;
    const next: Factors = {
      a: F64Array.fromF32(start.a.shape, mix(clients.map(({ a }) => a), shares).data),
      b: F64Array.fromF32(start.b.shape, mix(clients.map(({ b }) => b), shares).data),
    };
    const after = withValues(model, {
      [`${adaptedLayer}.loraA`]: upload(gpu, next.a),
      [`${adaptedLayer}.loraB`]: upload(gpu, next.b),
    });
    const found = await measure(pretrained, model, after);
    const frozen = F64Array.from(weight.shape, await weight.floats());
    const now = effectiveWeight(frozen, next, sharedScaling);
    const last = variationOf(now, effectiveWeight(frozen, start, sharedScaling));
    const origin = variationOf(now, frozen);
    // The difference since the last round is within some roundings of itself, and so is 2·v′·d beside m′·‖d‖; a direction is what
    // is left of ‖d‖² beside a square of that size.
    const close = (value: number | null, expected: number, allowed: number) =>
      assert.ok(Math.abs(value! - expected) <= allowed, `${value} for ${expected}, tolerance ${allowed}`);
    const step = Math.sqrt(2 * last.direction) * last.longest + last.magnitude;
    close(found.magnitudeFromLastRound!, last.magnitude, gammaN(64) * (step + last.magnitude));
    close(found.directionFromLastRound!, last.direction, gammaN(64) * (last.direction + last.stretch));
    // That since the pretrained model is of rounded weights.
    const rounding = gammaN(64) * origin.longest;
    close(found.magnitudeFromPretrained!, origin.magnitude, rounding);
    const allowed = gammaN(64) * (1 + origin.direction + origin.stretch);
    close(found.directionFromPretrained!, origin.direction, allowed);
  }, 40);
});

test("weightVariation() tells a turn by 1e-4, and growth by 1e-6, of a weight that is adapted", async () => {
  const { pretrained: plain, model } = await federation(gpu, {
    counts: [1],
    rank: 1,
    scale: 1,
    trained: "both",
    blockSize: 1,
    seed: 1,
    shape: [2, 1],
  });
  const own = (values: number[], b: number[]) => ({
    [`${adaptedLayer}.weight`]: tensor(gpu, values, { shape: [2, 1] }),
    [`${adaptedLayer}.loraA`]: tensor(gpu, [1], { shape: [1, 1] }),
    [`${adaptedLayer}.loraB`]: tensor(gpu, b, { shape: [2, 1] }),
  });
  // s = alpha/r = 3, and W = (1, 0).
  const before = withValues(model, own([1, 0], [0, 0]));
  const frozen = adaptersOf(before).get(adaptedLayer)!.weight;
  const turned = withValues(before, {
    ...own([1, 0], [0, 1e-4 / 3]),
    [`${adaptedLayer}.weight`]: frozen,
  });
  const pretrained = withValues(plain, { [`${adaptedLayer}.weight`]: frozen });
  const { directionFromLastRound, directionFromPretrained } = await measure(pretrained, before, turned);
  // 1 − cos 1e-4 = 5e-9, which f32 can't tell from 0 as a difference.
  for (const direction of [directionFromLastRound!, directionFromPretrained!]) {
    assert.ok(Math.abs(direction / 5e-9 - 1) <= 1e-5, `${direction}`);
  }
  const grown = withValues(before, {
    ...own([1, 0], [1e-8 / 3, 0]),
    [`${adaptedLayer}.weight`]: frozen,
  });
  const found = await measure(pretrained, before, grown);
  // A tenth of the spacing of f32 at 1: it's the factors that moved.
  assert.ok(Math.abs(found.magnitudeFromLastRound! / 1e-8 - 1) <= 1e-5, `${found.magnitudeFromLastRound}`);
  assert.ok(found.directionFromLastRound! <= 1e-22, `${found.directionFromLastRound}`);
  assert.equal(found.magnitudeFromPretrained, 0);
});

test("weightVariation() averages over trained layers without adapters, but for the head", async () => {
  const layers = ["encoder.inner", "encoder.outer"];
  const base = tinyClassifier(gpu, { width: 2, inner: 2 });
  const columns = (...values: readonly number[][]) =>
    Object.fromEntries(
      layers.map((name, i) =>
        [`${name}.weight`, tensor(gpu, values[i]!.flatMap((v) => [v, v]), { shape: [2, 2] })] as const
      ),
    );
  const head = [...base.namedParameters()].find(([name]) =>
    name.startsWith("head.") && name.endsWith("weight")
  )!;
  const own = { [head[0]]: tensor(gpu, new Float32Array(head[1].size).fill(9), { shape: head[1].shape }) };
  // One layer doubles in length and the other turns by 90 degrees; from the start they have turned by 0 and 180.
  const pretrained = withValues(base, columns([1, 0], [0, -5]));
  const before = withValues(base, columns([2, 0], [3, 0]));
  const after = withValues(base, { ...columns([4, 0], [0, 3]), ...own });
  assert.deepEqual(await measure(pretrained, before, after), {
    magnitudeFromLastRound: (2 + 0) / 2,
    directionFromLastRound: (0 + 1) / 2,
    magnitudeFromPretrained: (3 + 2) / 2,
    directionFromPretrained: (0 + 2) / 2,
  });
});

test("weightVariation() is 0 of weights that don't move, and null where none is trained", async () => {
  const each = { counts: [1], rank: 1, scale: 1, trained: "both", blockSize: 1, seed: 1 } as const;
  const { pretrained, model } = await federation(gpu, each);
  const still = await measure(pretrained, model, model);
  assert.deepEqual([still.magnitudeFromLastRound, still.directionFromLastRound], [0, 0]);
  const biases = withValues(pretrained, { "encoder.inner.bias": tensor(gpu, [1, 2, 3, 4, 5]) });
  assert.deepEqual(await measure(pretrained, pretrained, biases), {
    magnitudeFromLastRound: null,
    directionFromLastRound: null,
    magnitudeFromPretrained: null,
    directionFromPretrained: null,
  });
});

test("weightVariation() measures adapters on weights in half precision, and corrections of frozen weights", async () => {
  const each = { counts: [1], rank: 2, scale: 1, trained: "both", blockSize: 1, seed: 5 } as const;
  const { pretrained, model, clients } = await federation(gpu, each);
  const { weight } = adaptersOf(model).get(adaptedLayer)!;
  const half = toHalf(weight);
  const before = withValues(model, { [`${adaptedLayer}.weight`]: half });
  const after = withValues(before, { [`${adaptedLayer}.loraB`]: upload(gpu, clients[0]!.b) });
  const found = await measure(pretrained, before, after);
  assert.ok(
    found.magnitudeFromLastRound! > 0.01 && found.directionFromLastRound! > 0.01,
    JSON.stringify(found),
  );
  const doubled = withValues(model, {
    [`${adaptedLayer}.weight`]: tensor(gpu, (await weight.floats()).map((value) => 2 * value), {
      shape: weight.shape,
    }),
    [`${adaptedLayer}.loraB`]: tensor(gpu, new Float32Array(10), { shape: [5, 2] }),
  });
  const plain = withValues(model, {
    [`${adaptedLayer}.loraB`]: tensor(gpu, new Float32Array(10), { shape: [5, 2] }),
  });
  const { directionFromLastRound, magnitudeFromLastRound, magnitudeFromPretrained } = await measure(
    pretrained,
    plain,
    doubled,
  );
  assert.ok(directionFromLastRound! <= 1e-6, `${directionFromLastRound}`);
  assert.equal(magnitudeFromLastRound, magnitudeFromPretrained);
});
