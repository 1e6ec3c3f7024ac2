import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { zeros } from "../../../../src/engine/mod.ts";
import { LoraXsLinear, plainAdapter } from "../../../../src/federa/mod.ts";
import { bitsOf, evaluate, holds, testGpu, upload } from "../../../engine/harness.ts";
import { F64Array } from "../../../reference/array.ts";
import { matmul } from "../../../reference/matmul.ts";
import { assertClose, gammaN } from "../../../support/compare.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";

const gpu = await testGpu();

const cases = fc.record({
  clients: fc.integer({ min: 1, max: 3 }),
  rows: fc.constantFrom(1, 2, 17),
  out: fc.constantFrom(1, 3, 17, 33),
  width: fc.constantFrom(1, 7, 31),
  rank: fc.integer({ min: 1, max: 5 }),
  seed: fc.nat(),
});

const magnitude = (x: F64Array) => x.map(Math.abs);

/** Matrix c of a stack. */
function part(x: F64Array, c: number): F64Array {
  const size = x.data.length / x.shape[0]!;
  return F64Array.from(x.shape.slice(1), x.data.subarray(c * size, (c + 1) * size));
}

test("LoraXsLinear.forward() and its gradient are each client's own: dR = s·Bᵀ·G·Aᵀ with G = dyᵀ·x; as plain LoRA it has the same bits", async () => {
  await holds(cases, async ({ clients, rows, out, width, rank, seed }) => {
    const random = new Random(seed);
    const draw = (shape: readonly number[]) => F64Array.fromF32(shape, gaussian(shape, random).data);
    const s = 1.5;
    const [w, a, b, bias] = [draw([out, width]), draw([rank, width]), draw([out, rank]), draw([out])];
    const [x, r] = [draw([clients, rows, width]), draw([clients, rank, rank])];
    const [weight, loraA, loraB] = [w, a, b].map((each) => upload(gpu, each));
    const options = { weight: weight!, loraA: loraA!, loraB: loraB!, bias: upload(gpu, bias), scaling: s };
    const { y, dy, gradients } = await evaluate(
      gpu,
      (x, loraR) => new LoraXsLinear({ ...options, loraR: loraR! }).forward(x!),
      { inputs: [x, r], seed },
    );
    const plain = plainAdapter(new LoraXsLinear({ ...options, loraR: upload(gpu, r) }));
    assert.deepEqual(bitsOf(await plain.forward(upload(gpu, x)).floats()), bitsOf(Float32Array.from(y)));
    for (let c = 0; c < clients; c++) {
      const [xc, rc, g] = [part(x, c), part(r, c), part(dy, c)];
      const forward = (x: F64Array, r: F64Array, a: F64Array, b: F64Array, w: F64Array, bias: F64Array) => {
        const update = matmul(matmul(x, matmul(r, a), { layout: "NT" }), b, { layout: "NT" });
        return matmul(x, w, { layout: "NT" }).map((value, i) =>
          value + s * update.data[i]! + bias.data[i % out]!
        );
      };
      const inputs = [xc, rc, a, b, w, bias] as const;
      // Three products in a row, the scaling and two sums.
      assertClose(y.subarray(c * rows * out, (c + 1) * rows * out), forward(...inputs), {
        absolute: forward(...inputs.map(magnitude) as unknown as typeof inputs)
          .map((value) => gammaN(width + 2 * rank + 5) * value).data,
      });
      const gradR = (x: F64Array, a: F64Array, b: F64Array, g: F64Array) =>
        matmul(matmul(matmul(g, b), x, { layout: "TN" }), a, { layout: "NT" }).map((value) => s * value);
      const size = rank * rank;
      assertClose(gradients[1]!.subarray(c * size, (c + 1) * size), gradR(xc, a, b, g), {
        absolute: gradR(magnitude(xc), magnitude(a), magnitude(b), magnitude(g))
          .map((value) => gammaN(out + rows + width + 3) * value).data,
      });
    }
  }, 25);
});

test("LoraXsLinear() refuses matrices that don't fit", () => {
  const layer = (a: number[], r: number[], b: number[]) =>
    new LoraXsLinear({
      weight: zeros(gpu, [3, 4]),
      bias: undefined,
      loraA: zeros(gpu, a),
      loraR: zeros(gpu, r),
      loraB: zeros(gpu, b),
      scaling: 1,
    });
  layer([2, 4], [2, 2], [3, 2]);
  layer([2, 4], [7, 2, 2], [3, 2]);
  for (
    const [a, r, b] of [
      [[2, 5], [2, 2], [3, 2]],
      [[2, 4], [2, 1], [3, 2]],
      [[2, 4], [1, 2], [3, 2]],
      [[2, 4], [2, 2], [4, 2]],
      [[7, 2, 4], [2, 2], [3, 2]],
    ]
  ) {
    assert.throws(() => layer(a!, r!, b!), { name: "TypeError", message: /Cannot adapt a weight \[3, 4\]/ });
  }
});
