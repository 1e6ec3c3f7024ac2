import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Linear, zeros } from "../../../src/engine/mod.ts";
import { BottleneckLinear } from "../../../src/federa/mod.ts";
import { evaluate, holds, testGpu, upload } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { unary } from "../../reference/elementwise.ts";
import { linear } from "../../reference/matmul.ts";
import { maxAbsDifference } from "../../support/compare.ts";
import { gaussian } from "../../support/matrices.ts";
import { numericGradient } from "../../support/numeric_gradient.ts";
import { Random } from "../../support/random.ts";

const gpu = await testGpu();

const cases = fc.record({
  clients: fc.integer({ min: 1, max: 3 }),
  rows: fc.constantFrom(1, 2, 5),
  out: fc.constantFrom(1, 3, 7, 17),
  width: fc.constantFrom(1, 2, 5),
  size: fc.integer({ min: 1, max: 5 }),
  residual: fc.boolean(),
  seed: fc.nat(),
});

/** Matrix c of a stack. */
function part(x: F64Array, c: number): F64Array {
  const shape = x.shape.slice(1);
  const size = x.data.length / x.shape[0]!;
  return F64Array.from(shape, x.data.subarray(c * size, (c + 1) * size));
}

const plus = (x: F64Array, y: F64Array) => x.map((value, i) => value + y.data[i]!);

test("BottleneckLinear.forward() is z + up(gelu(down(z))) + residual of each client, and so are its gradients", async () => {
  await holds(cases, async ({ clients, rows, out, width, size, residual, seed }) => {
    const random = new Random(seed);
    const draw = (shape: readonly number[], fanIn: number) =>
      F64Array.fromF32(shape, gaussian(shape, random).map((value) => value / Math.sqrt(fanIn)).data);
    const [w, b] = [draw([out, width], width), draw([out], 1)];
    const inputs = [
      draw([clients, rows, width], 1),
      draw([clients, rows, out], 1),
      draw([clients, size, out], out),
      draw([clients, size], 1),
      draw([clients, out, size], size),
      draw([clients, out], 1),
    ];
    const found = await evaluate(gpu, (x, r, down, downBias, up, upBias) => {
      const layer = new BottleneckLinear({
        weight: upload(gpu, w),
        bias: upload(gpu, b),
        down: new Linear(down!, downBias),
        up: new Linear(up!, upBias),
      });
      const y = layer.forward(x!, residual ? { residual: r! } : {});
      return residual ? y : layer.forward(x!, { residual: r! });
    }, { inputs, seed });
    const forward = (x: F64Array, r: F64Array, down: F64Array, d: F64Array, up: F64Array, u: F64Array) => {
      const z = linear(x, w, b);
      return plus(plus(z, linear(unary("geluErf", linear(z, down, d)), up, u)), r);
    };
    for (let c = 0; c < clients; c++) {
      const own = inputs.map((each) => part(each, c)) as Parameters<typeof forward>;
      const mine = (values: Float32Array) =>
        values.subarray(c * values.length / clients, (c + 1) * values.length / clients);
      // Sums of at most 17 products of order 1 in three layers: a few hundred roundings of 6e-8 at most.
      assert.ok(maxAbsDifference(mine(found.y), forward(...own).data) < 2e-5);
      const wanted = numericGradient(
        (...each) => forward(...each as typeof own),
        own,
        part(found.dy, c),
      );
      wanted.forEach((gradient, i) => {
        const scale = Math.max(1, ...gradient.data.map(Math.abs));
        assert.ok(maxAbsDifference(mine(found.gradients[i]!), gradient.data) < 2e-5 * scale, `input ${i}`);
      });
    }
  }, 8);
});

test("BottleneckLinear() refuses an adapter that doesn't fit, and an activation behind it", () => {
  const layer = (down: [number, number], up: [number, number]) =>
    new BottleneckLinear({
      weight: zeros(gpu, [3, 4]),
      bias: undefined,
      down: new Linear(zeros(gpu, down)),
      up: new Linear(zeros(gpu, up)),
    });
  assert.equal(layer([2, 3], [3, 2]).size, 2);
  for (const [down, up] of [[[2, 4], [3, 2]], [[2, 3], [4, 2]], [[2, 3], [3, 1]]] as const) {
    assert.throws(() => layer([...down], [...up]), { name: "TypeError", message: /Cannot put a bottleneck/ });
  }
  assert.throws(() => layer([2, 3], [3, 2]).forward(zeros(gpu, [5, 4]), { activation: "relu" }), {
    name: "TypeError",
    message: /Cannot apply relu to a linear layer with a bottleneck adapter/,
  });
});
