import assert from "node:assert/strict";
import { test } from "node:test";
import { linear } from "../../../../src/engine/ops/matmul/linear.ts";
import { matmul } from "../../../../src/engine/ops/matmul/matmul.ts";
import { toPrecision } from "../../../../src/engine/ops/compression/precision.ts";
import { tuningOf } from "../../../../src/engine/ops/matmul/tuning.ts";
import { tensor } from "../../../../src/engine/tensor.ts";
import { tidy } from "../../../../src/engine/tidy.ts";
import { F64Array } from "../../../reference/array.ts";
import { matmul as reference, type MatmulLayout } from "../../../reference/matmul.ts";
import { assertClose, F32_MIN_NORMAL, gammaN } from "../../../support/compare.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";
import { evaluate, evaluateEverywhere, testAllFamilies, upload } from "../../harness.ts";

// Products large enough that an adapter which reads texels faster than buffers copies its operands. The other families never
// do, so that equal bits on all of them prove the copy. Where no adapter does, the tests compare what there is.
const families = await testAllFamilies();
const random = (shape: readonly number[], seed: number) =>
  F64Array.fromF32(shape, gaussian(shape, new Random(seed)).data);

/** Whether every product of `body` with at least 128 rows and columns was planned over texels. */
async function usesTexels(body: () => void): Promise<boolean> {
  const seen = await tuningOf(families["cpu"]!).observe(() => Promise.resolve(tidy(body)));
  return seen.length > 0 && seen.every(({ problem: { m, n, texels } }) => texels || Math.min(m, n) < 128);
}

const shapes = (m: number, k: number, n: number, layout: MatmulLayout) =>
  [layout === "TN" ? [k, m] : [m, k], layout === "NT" ? [n, k] : [k, n]] as const;

// Rows around multiples of 24, columns around those of 32, k on either side of a quadruple, and texels that fill more than one row of
// 1,024.
const sizes = [
  [145, 67, 131],
  [144, 64, 128],
  [192, 5, 130],
  [217, 130, 129],
  [131, 1029, 130],
] as const;

for (const layout of ["NN", "NT", "TN"] as const) {
  test(`matmul() of layout ${layout} has the same bits from texels and from buffers, and agrees with the oracle`, async () => {
    for (const [i, [m, k, n]] of sizes.entries()) {
      const [a, b] = shapes(m, k, n, layout);
      const inputs = [random(a, i), random(b, i + 100)];
      const flags = { transposeA: layout === "TN", transposeB: layout === "NT" };
      if (families["cpu"]!.adapter.readsTexels) {
        assert.ok(
          await usesTexels(() =>
            void matmul(upload(families["cpu"]!, inputs[0]!), upload(families["cpu"]!, inputs[1]!), flags)
          ),
        );
      }
      // A GPU may split the sums of the gradient of a side that is longer than 512.
      const { y } = await evaluateEverywhere(families, (_, [p, q]) => matmul(p!, q!, flags), { inputs });
      const magnitude = reference(...inputs.map((x) => x.map(Math.abs)) as [F64Array, F64Array], { layout });
      const bound = magnitude.map((each) => gammaN(k) * each + k * F32_MIN_NORMAL);
      assertClose(y, reference(inputs[0]!, inputs[1]!, { layout }), { absolute: bound.data });
    }
  });
}

test("matmul() of a batch has the same bits from texels and from buffers, whichever operand the batch shares", async () => {
  for (
    const [a, b] of [[[3, 130, 33], [3, 33, 129]], [[2, 3, 129, 12], [3, 12, 131]], [[130, 33], [3, 33, 129]]]
  ) {
    const inputs = [random(a!, 1), random(b!, 2)];
    await evaluateEverywhere(families, (_, [p, q]) => matmul(p!, q!), { inputs });
  }
});

// An ending for each precision, as every combination compiles pipelines of its own.
const layers = [["f32", "gelu"], ["f16", "residual"], ["int8", "relu"]] as const;
for (const [precision, end] of layers) {
  test(`linear() of a weight in ${precision} with ${end} has the same bits from texels and from buffers`, async () => {
    // Both the result and the gradient of x are large enough.
    const [members, m, n, k, r] = [2, 129, 131, 130, 3];
    const weight = random([n, k], 3);
    const inputs = [
      random([members, m, k], 4),
      random([members, r, k], 5),
      random([members, n, r], 6),
      random([members, n], 7),
      ...(end === "residual" ? [random([members, m, n], 8)] : []),
    ];
    await evaluateEverywhere(
      families,
      (gpu, [x, a, b, bias, residual]) =>
        linear(x!, {
          weight: toPrecision(upload(gpu, weight), precision),
          bias,
          lowRank: { a: a!, b: b!, scaling: tensor(gpu, [0.75, 1.7]) },
          residual,
          activation: end === "residual" ? undefined : end,
        }),
      { inputs },
    );
  });
}

test("a product over texels leaves no memory behind, and takes what a rehearsal says", async () => {
  const gpu = families["cpu"]!;
  const inputs = [random([130, 70], 1), random([70, 140], 2)];
  await evaluate(gpu, (a, b) => matmul(a, b), { inputs });
  const a = upload(gpu, inputs[0]!);
  const b = upload(gpu, inputs[1]!);
  const body = () =>
    tidy(() => {
      matmul(a, b);
    });
  const rehearsed = gpu.rehearse(() => body());
  // The product, and copies of both operands in texels of whole rows of 16 KiB where the adapter reads them.
  const product = 4 * 130 * 140;
  const copies = gpu.adapter.readsTexels ? 2 * 3 * 16384 : 0;
  assert.ok(rehearsed >= product + copies && rehearsed <= 1.2 * product + copies + 2 * 16384, `${rehearsed}`);
  for (const each of [a, b]) each.dispose();
});

test("matmul() of an empty batch of large matrices is empty, and copies nothing", async () => {
  const gpu = families["cpu"]!;
  const a = tensor(gpu, new Float32Array(0), { shape: [0, 130, 70] });
  const b = tensor(gpu, new Float32Array(0), { shape: [0, 70, 140] });
  using c = matmul(a, b);
  assert.deepEqual(c.shape, [0, 130, 140]);
  assert.equal((await c.floats()).length, 0);
  for (const each of [a, b]) each.dispose();
});
