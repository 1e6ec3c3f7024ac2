import assert from "node:assert/strict";
import { test } from "node:test";
import type { Gpu } from "../../../../src/engine/gpu/device.ts";
import { planMatmul } from "../../../../src/engine/ops/matmul/matmul_plan.ts";
import { candidateTiles, shapeClass, tileName } from "../../../../src/engine/ops/matmul/matmul_tile.ts";
import { toInt8 } from "../../../../src/engine/ops/compression/int8.ts";
import { linear } from "../../../../src/engine/ops/matmul/linear.ts";
import { matmul } from "../../../../src/engine/ops/matmul/matmul.ts";
import { full } from "../../../../src/engine/ops/create.ts";
import { tilesOf, tuneMatmul } from "../../../../src/engine/ops/matmul/tune_matmul.ts";
import { tuningOf } from "../../../../src/engine/ops/matmul/tuning.ts";
import { tidy } from "../../../../src/engine/tidy.ts";
import { F64Array } from "../../../reference/array.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";
import { bitsOf, run, testFamilies, upload } from "../../harness.ts";

const families = await testFamilies();
const random = (shape: readonly number[], seed: number) =>
  F64Array.fromF32(shape, gaussian(shape, new Random(seed)).data);

test("Tuning.observe() counts the distinct products of what it is given, and nothing after it", async () => {
  const gpu = families["cpu"]!;
  const product = (m: number) =>
    tidy(() => {
      matmul(full(gpu, [m, 4], 1), full(gpu, [4, 8], 1));
    });
  const seen = await tuningOf(gpu).observe(() => {
    product(3);
    product(5);
    product(3);
    return Promise.resolve();
  });
  product(7);
  assert.deepEqual(seen.map(({ problem: { m, n, k }, calls }) => [m, n, k, calls]), [[3, 8, 4, 2], [
    5,
    8,
    4,
    1,
  ]]);
});

test("tuneMatmul() measures every tile of each class, picks the fastest, and leaves what was in use", async () => {
  const gpu = families["cpu"]!;
  const seen = await tuningOf(gpu).observe(() => {
    tidy(() => {
      linear(full(gpu, [40, 12], 1), { weight: full(gpu, [48, 12], 1) });
    });
    return Promise.resolve();
  });
  const steps: number[] = [];
  const [only, ...rest] = await tuneMatmul(gpu, seen, {
    seconds: 20,
    onProgress: (done) => steps.push(done),
  });
  assert.deepEqual([rest.length, steps, tuningOf(gpu).tiles.size], [0, [1], 0]);
  assert.deepEqual(
    new Set(only!.measured.map(({ tile }) => tileName(tile))),
    new Set(candidateTiles(only!.problem).map(tileName)),
  );
  const best = Math.min(...only!.measured.map(({ milliseconds }) => milliseconds));
  const chosen = only!.measured.find(({ tile }) => tile === only!.tile)!;
  // The default stays unless another is 3 % faster.
  assert.ok(best > 0 && chosen.milliseconds <= best / 0.97 / 0.97);
  assert.deepEqual([...tilesOf([only!]).keys()], [shapeClass(only!.problem)]);
});

test("tuneMatmul() measures nothing when no time is left, and then proposes no tiles", async () => {
  const gpu = families["cpu"]!;
  const seen = [{ problem: { m: 8, n: 8, k: 8, batch: 1, adapterClass: "cpu" } as const, calls: 1 }];
  const classes = await tuneMatmul(gpu, seen, { seconds: 0 });
  assert.equal(classes[0]!.measured.length, 0);
  assert.equal(tilesOf(classes).size, 0);
  await assert.rejects(tuneMatmul(gpu, seen, { signal: AbortSignal.abort(new Error("enough")) }), /enough/);
});

test("tuneMatmul() measures products with weights in 8 bits as classes of their own, odd rows and all", async () => {
  const gpu = families["cpu"]!;
  const seen = await tuningOf(gpu).observe(() => {
    tidy(() => {
      const weight = full(gpu, [21, 13], 1);
      for (const each of [weight, toInt8(weight)]) linear(full(gpu, [9, 13], 1), { weight: each });
    });
    return Promise.resolve();
  });
  const before = gpu.stats().liveBytes;
  const classes = await tuneMatmul(gpu, seen, { seconds: 20 });
  assert.deepEqual(new Set(classes.map(({ problem }) => problem.precisionB)), new Set(["f32", "int8"]));
  for (const { problem, measured } of classes) assert.equal(measured.length, candidateTiles(problem).length);
  assert.equal(gpu.stats().liveBytes, before);
});

test("Tuning.use() takes tiles in use without changing a bit", async () => {
  for (const gpu of Object.values(families)) {
    const inputs = [random([40, 12], 1), random([48, 12], 2)] as const;
    const product = () => run(gpu, () => linear(upload(gpu, inputs[0]), { weight: upload(gpu, inputs[1]) }));
    const usual = await product();
    const seen = await tuningOf(gpu).observe(async () => void await product());
    const { problem } = seen[0]!;
    for (const tile of candidateTiles(problem).slice(0, 3)) {
      tuningOf(gpu).use(new Map([[shapeClass(problem), tile]]));
      assert.deepEqual(tuningOf(gpu).plan(problem), planMatmul(problem, tile));
      assert.deepEqual(bitsOf(await product()), bitsOf(usual));
    }
    tuningOf(gpu).use(new Map());
  }
});

// Past every tile's edge, in every layout, with operands that can be read four elements at once and such that can't, and with sums
// that end within a slice: the kernel reads and transposes blocks by all of these. One chain a sum: the bits are the CPU kernel's.
test("each tile for GPUs gives the bits of the kernel for CPUs", async () => {
  const { cpu, gpu } = families as { cpu: Gpu; gpu: Gpu };
  const problem = { m: 1, n: 1, k: 1, batch: 1, adapterClass: "gpu" } as const;
  const layouts = [{}, { transposeB: true }, { transposeA: true }];
  for (const [i, tile] of candidateTiles(problem).entries()) {
    const { transposeA = false, transposeB = false }: { transposeA?: boolean; transposeB?: boolean } =
      layouts[i % 3]!;
    const [m, n, k] = i % 2 === 0
      ? [tile.rows + 4, tile.columns + 8, 2 * tile.depth! + 12]
      : [tile.rows + 3, tile.columns + 5, tile.depth! + 7];
    const a = random(transposeA ? [k, m] : [m, k], i);
    const b = random(transposeB ? [n, k] : [k, n], i + 100);
    const product = (on: Gpu) =>
      run(on, () => matmul(upload(on, a), upload(on, b), { transposeA, transposeB }));
    const [seen] = await tuningOf(gpu).observe(async () => void await product(gpu));
    tuningOf(gpu).use(new Map([[shapeClass(seen!.problem), tile]]));
    assert.deepEqual(
      bitsOf(await product(gpu)),
      bitsOf(await product(cpu)),
      `${tileName(tile)}: ${m}×${n}×${k}`,
    );
    tuningOf(gpu).use(new Map());
  }
});
