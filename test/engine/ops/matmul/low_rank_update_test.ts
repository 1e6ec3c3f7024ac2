import assert from "node:assert/strict";
import { test } from "node:test";
import { lowRankUpdate, matmul, mul, sub, tensor, tidy } from "../../../../src/engine/mod.ts";
import { F64Array } from "../../../reference/array.ts";
import { matmul as oracle } from "../../../reference/matmul.ts";
import { gammaN } from "../../../support/compare.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";
import { testGpu, upload } from "../../harness.ts";

const gpu = await testGpu();
const gpuClass = await testGpu("gpu");

test("lowRankUpdate() is W + s·B·A to the rounding of its terms, on odd shapes and past a tile", async () => {
  for (const [m, n, r] of [[1, 1, 1], [3, 5, 2], [24, 32, 8], [37, 65, 7], [130, 68, 16]] as const) {
    const [w, b, a] = [[m, n], [m, r], [r, n]].map((shape, i) =>
      F64Array.fromF32(shape, gaussian(shape, new Random(i + m)).data)
    ) as [F64Array, F64Array, F64Array];
    const product = oracle(b, a);
    const sizes = oracle(b.map(Math.abs), a.map(Math.abs));
    for (const on of [gpu, gpuClass]) {
      for (const scaling of [-2, 0.5]) {
        using result = lowRankUpdate(upload(on, w), { loraA: upload(on, a), loraB: upload(on, b), scaling });
        (await result.floats()).forEach((found, i) => {
          const expected = w.data[i]! + scaling * product.data[i]!;
          // r products and sums, the scale and the last sum: r + 3 roundings of each part.
          const bound = gammaN(r + 3) * (Math.abs(w.data[i]!) + Math.abs(scaling) * sizes.data[i]!);
          assert.ok(Math.abs(found - expected) <= bound, `${m}×${n}: ${found}, expected ${expected}`);
        });
      }
    }
  }
});

test("lowRankUpdate() has the bits of its steps one by one, and needs no memory but the result's", async () => {
  const [m, n, r] = [64, 128, 8];
  const [w, b, a] = [[m, n], [m, r], [r, n]].map((shape, i) =>
    upload(gpu, F64Array.fromF32(shape, gaussian(shape, new Random(i)).data))
  ) as [ReturnType<typeof upload>, ReturnType<typeof upload>, ReturnType<typeof upload>];
  const before = gpu.stats().liveBytes;
  using result = lowRankUpdate(w, { loraA: a, loraB: b, scaling: -0.3 });
  assert.equal(gpu.stats().liveBytes - before, 4 * m * n);
  using steps = tidy(() => sub(w, mul(matmul(b, a), 0.3)));
  assert.deepEqual(await result.floats(), await steps.floats());
});

test("lowRankUpdate() refuses shapes that don't agree", () => {
  const x = (shape: number[]) => tensor(gpu, new Float32Array(shape.reduce((p, e) => p * e, 1)), { shape });
  assert.throws(() => lowRankUpdate(x([2, 3]), { loraA: x([1, 3]), loraB: x([3, 1]), scaling: 1 }), {
    name: "TypeError",
    message: "Cannot update [2, 3] by [3, 1] times [1, 3]: expected [m, n], [m, r], [r, n]",
  });
});
