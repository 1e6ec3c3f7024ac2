import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { zeros } from "../../../../src/engine/mod.ts";
import { LowRankLinear } from "../../../../src/federa/mod.ts";
import { evaluate, holds, testGpu, upload } from "../../../engine/harness.ts";
import { F64Array } from "../../../reference/array.ts";
import { matmul } from "../../../reference/matmul.ts";
import { magnitudes } from "../../../support/arbitraries.ts";
import { assertClose, gammaN } from "../../../support/compare.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";

const gpu = await testGpu();

const cases = fc.record({
  clients: fc.integer({ min: 1, max: 4 }),
  rows: fc.constantFrom(1, 2, 5, 17),
  out: fc.constantFrom(1, 3, 8, 17, 33),
  width: fc.constantFrom(1, 2, 7, 16, 31),
  rank: fc.integer({ min: 1, max: 6 }),
  scaling: magnitudes(0.01, 20),
  bias: fc.boolean(),
  seed: fc.nat(),
});

/** Matrix c of a stack. */
function part(x: F64Array, c: number): F64Array {
  const shape = x.shape.slice(1);
  const size = x.data.length / x.shape[0]!;
  return F64Array.from(shape, x.data.subarray(c * size, (c + 1) * size));
}

const magnitude = (x: F64Array) => x.map(Math.abs);

test("LowRankLinear.forward() and its gradients are each client's own: s·Bᵀ·G and s·G·Aᵀ with G = dyᵀ·x", async () => {
  await holds(cases, async ({ clients, rows, out, width, rank, scaling, bias, seed }) => {
    const random = new Random(seed);
    const draw = (shape: readonly number[]) => F64Array.fromF32(shape, gaussian(shape, random).data);
    const s = Math.fround(scaling);
    const [w, b0] = [draw([out, width]), draw([out])];
    const [x, a, b] = [
      draw([clients, rows, width]),
      draw([clients, rank, width]),
      draw([clients, out, rank]),
    ];
    const found = await evaluate(gpu, (x, a, b) =>
      new LowRankLinear({
        weight: upload(gpu, w),
        bias: bias ? upload(gpu, b0) : undefined,
        loraA: a,
        loraB: b,
        scaling,
      }).forward(x), { inputs: [x, a, b], seed });
    const y = found.y;
    const size = (i: number) => found.gradients[i]!.length / clients;
    for (let c = 0; c < clients; c++) {
      const [xc, ac, bc, dy] = [part(x, c), part(a, c), part(b, c), part(found.dy, c)];
      const chain = (x: F64Array, a: F64Array, b: F64Array) =>
        matmul(matmul(x, a, { layout: "NT" }), b, { layout: "NT" }).map((value) => s * value);
      const forward = (x: F64Array, a: F64Array, b: F64Array, w: F64Array, shift: F64Array) => {
        const [base, update] = [matmul(x, w, { layout: "NT" }), chain(x, a, b)];
        return base.map((value, i) => value + update.data[i]! + (bias ? shift.data[i % out]! : 0));
      };
      // Two products in a row, the scaling and the sum: at most in + r + 4 roundings of each term.
      assertClose(y.subarray(c * rows * out, (c + 1) * rows * out), forward(xc, ac, bc, w, b0), {
        absolute:
          forward(...[xc, ac, bc, w, b0].map(magnitude) as [F64Array, F64Array, F64Array, F64Array, F64Array])
            .map((value) => gammaN(width + rank + 4) * value).data,
      });
      const gradA = (x: F64Array, b: F64Array, dy: F64Array) =>
        matmul(matmul(dy, b), x, { layout: "TN" }).map((value) => s * value);
      const gradB = (x: F64Array, a: F64Array, dy: F64Array) =>
        matmul(dy, matmul(x, a, { layout: "NT" }), { layout: "TN" }).map((value) => s * value);
      const slice = (i: number) => found.gradients[i]!.subarray(c * size(i), (c + 1) * size(i));
      assertClose(slice(1), gradA(xc, bc, dy), {
        absolute: gradA(magnitude(xc), magnitude(bc), magnitude(dy)).map((value) =>
          gammaN(out + rows + 2) * value
        ).data,
      });
      assertClose(slice(2), gradB(xc, ac, dy), {
        absolute: gradB(magnitude(xc), magnitude(ac), magnitude(dy)).map((value) =>
          gammaN(width + rows + 2) * value
        ).data,
      });
    }
  }, 40);
});

test("LowRankLinear() refuses factors that don't fit", () => {
  const layer = (a: number[], b: number[]) =>
    new LowRankLinear({
      weight: zeros(gpu, [3, 4]),
      bias: undefined,
      loraA: zeros(gpu, a),
      loraB: zeros(gpu, b),
      scaling: 1,
    });
  assert.equal(layer([2, 4], [3, 2]).rank, 2);
  for (const [a, b] of [[[2, 5], [3, 2]], [[2, 4], [4, 2]], [[2, 4], [3, 1]]] as const) {
    assert.throws(() => layer([...a], [...b]), {
      name: "TypeError",
      message: /Cannot adapt a weight \[3, 4\]/,
    });
  }
});
