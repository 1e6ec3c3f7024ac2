import assert from "node:assert/strict";
import { test } from "node:test";
import { planMatmul } from "../../../../src/engine/ops/matmul/matmul_plan.ts";
import { candidateTiles, shapeClass } from "../../../../src/engine/ops/matmul/matmul_tile.ts";
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
  const key = ({ rows, columns, depth }: { rows: number; columns: number; depth?: number }) =>
    [rows, columns, depth].join();
  assert.deepEqual(
    new Set(only!.measured.map(({ tile }) => key(tile))),
    new Set(candidateTiles(only!.problem).map(key)),
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
