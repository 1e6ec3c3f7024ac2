import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { principalAngles } from "../../../src/fl/measures/_principal_angles.ts";
import type { Figures } from "../../../src/fl/measures/measure.ts";
import { subspaceAngles } from "../../../src/fl/measures/subspace_angles.ts";
import type { TaskModel } from "../../../src/tasks/mod.ts";
import { holds, testGpu, upload } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { matmul } from "../../reference/matmul.ts";
import { householderQr, rowsOf } from "../../reference/qr.ts";
import { transpose } from "../../reference/shape.ts";
import { jacobiSvd } from "../../reference/svd.ts";
import { adaptedLayer, type Factors, federation } from "../../support/federation.ts";
import { gaussian, randomOrthonormal } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";

const gpu = await testGpu();
const degrees = 180 / Math.PI;

/** The columns of a matrix. */
const columnsOf = (x: F64Array) => rowsOf(transpose(x));

/** Two bases of planes in `m` dimensions at known angles: column j of the second is turned from that of the first. */
function turned(m: number, angles: readonly number[], random: Random): [F64Array, F64Array] {
  const r = angles.length;
  const frame = randomOrthonormal(m, 2 * r, random);
  const pick = (i: number, j: number) => frame.data[i * 2 * r + j]!;
  const build = (f: (i: number, j: number) => number) =>
    F64Array.full([m, r]).map((_, index) => f(Math.floor(index / r), index % r));
  const x = build(pick);
  const y = build((i, j) => Math.cos(angles[j]!) * pick(i, j) + Math.sin(angles[j]!) * pick(i, r + j));
  // Any other basis of the same span will do, here of a condition of r.
  const mix = () => randomOrthonormal(r, r, random).map((value, i) => value * (1 + Math.floor(i / r)));
  return [matmul(x, mix()), matmul(y, mix())];
}

test("principalAngles() finds the angles that two planes were built with", () => {
  const random = new Random(1);
  for (const angles of [[0], [1e-6], [Math.PI / 2], [0, 1e-5, 0.3, 1.2, Math.PI / 2], [0.5, 0.5, 0.5]]) {
    const [x, y] = turned(23, angles, random);
    const found = principalAngles(columnsOf(x), columnsOf(y));
    assert.equal(found.length, angles.length);
    angles.forEach((angle, i) => assert.ok(Math.abs(found[i]! - angle) <= 2e-8, `${found[i]} for ${angle}`));
  }
});

test("principalAngles() agrees with the singular values of the product of orthonormal bases", () => {
  const cases = fc.record({
    m: fc.integer({ min: 1, max: 30 }),
    p: fc.integer({ min: 1, max: 8 }),
    q: fc.integer({ min: 1, max: 8 }),
    seed: fc.nat(),
  });
  fc.assert(fc.property(cases, ({ m, p, q, seed }) => {
    const random = new Random(seed);
    const [x, y] = [gaussian([m, Math.min(m, p)], random), gaussian([m, Math.min(m, q)], random)];
    const cosines = jacobiSvd(matmul(transpose(householderQr(x).q), householderQr(y).q)).s;
    const found = principalAngles(columnsOf(x), columnsOf(y));
    assert.equal(found.length, cosines.length);
    // A cosine of nearly 1 is what tells little of an angle.
    found.forEach((angle, i) => assert.ok(Math.abs(Math.cos(angle) - cosines[i]!) <= 1e-9, `${angle}`));
  }));
});

test("principalAngles() counts dependent columns once, and none of zeros", () => {
  const [a, b] = [Float64Array.of(1, 0, 0), Float64Array.of(0, 3, 0)];
  const both = a.map((value, i) => value - b[i]!);
  assert.deepEqual(principalAngles([a, b, both], [b, b]), [0]);
  assert.deepEqual(principalAngles([new Float64Array(3)], [a]), []);
});

async function measure(initial: TaskModel, after: TaskModel): Promise<Figures> {
  const live = gpu.stats().liveBytes;
  const measure = subspaceAngles({ pretrained: initial, initial });
  measure.begin(initial);
  const figures = await measure.end(after);
  measure.dispose();
  assert.deepEqual(await measure.end(after), figures);
  measure.close!();
  assert.equal(gpu.stats().liveBytes, live, "bytes alive afterwards");
  return figures;
}

function withFactors(model: TaskModel, { a, b }: Factors): TaskModel {
  return model.mapParameters((name, parameter) => {
    if (name === `${adaptedLayer}.loraA`) return upload(gpu, a);
    return name === `${adaptedLayer}.loraB` ? upload(gpu, b) : parameter;
  });
}

test("subspaceAngles() finds by how much the spans of A and B were turned", async () => {
  const cases = fc.record({
    rank: fc.integer({ min: 1, max: 5 }),
    scale: fc.constantFrom(1, 1e-18, 1e12),
    large: fc.boolean(),
    seed: fc.nat(),
  });
  await holds(cases, async ({ rank, scale, large, seed }) => {
    const random = new Random(seed);
    const { model } = await federation(gpu, {
      counts: [1],
      rank,
      scale: 1,
      trained: "both",
      blockSize: 1,
      seed,
      shape: [11, 17],
    });
    const draw = () => Array.from({ length: rank }, () => random.uniform() * (large ? Math.PI / 2 : 1e-3));
    const [anglesA, anglesB] = [draw(), draw()];
    const [a0, a1] = turned(17, anglesA, random);
    const [b0, b1] = turned(11, anglesB, random);
    const round = (x: F64Array) => F64Array.fromF32(x.shape, x.data.map((value) => value * scale));
    const initial = withFactors(model, { a: round(transpose(a0)), b: round(b0) });
    const after = withFactors(model, { a: round(transpose(a1)), b: round(b1) });
    const found = await measure(initial, after);
    // f32 factors of condition κ: an angle is within some u·κ, which for gaussian mixtures of up to 5 columns is below 1e-4.
    const close = (value: number | null, expected: number) =>
      assert.ok(
        Math.abs(value! - degrees * expected) <= degrees * 1e-4,
        `${value} for ${degrees * expected}`,
      );
    const mean = (angles: number[]) => angles.reduce((sum, angle) => sum + angle, 0) / rank;
    close(found.largestAngleA!, Math.max(...anglesA));
    close(found.meanAngleA!, mean(anglesA));
    close(found.largestAngleB!, Math.max(...anglesB));
    close(found.meanAngleB!, mean(anglesB));
  }, 25);
});

test("subspaceAngles() is null for a factor that began as zero, and 0 where nothing has turned", async () => {
  const { model, start } = await federation(gpu, {
    counts: [1],
    rank: 2,
    scale: 1,
    trained: "both",
    blockSize: 1,
    seed: 3,
  });
  const plain = withFactors(model, { a: start.a, b: F64Array.full([5, 2]) });
  const found = await measure(plain, withFactors(model, start));
  assert.deepEqual([found.largestAngleB, found.meanAngleB], [null, null]);
  assert.ok(found.largestAngleA! <= 1e-4, `${found.largestAngleA}`);
  // Other bases of the same spans.
  const mixed = { a: start.a.map((value) => -3 * value), b: start.b.map((value, i) => value * (1 + i % 2)) };
  const same = await measure(model, withFactors(model, mixed));
  for (const angle of Object.values(same)) assert.ok(angle! <= 1e-4, `${angle}`);
});
