import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { linear } from "../../../../src/engine/ops/matmul/linear.ts";
import { type Tensor, tensor } from "../../../../src/engine/tensor.ts";
import { F64Array, sizeOf } from "../../../reference/array.ts";
import { linear as reference, linearGradient } from "../../../reference/matmul.ts";
import { extents, f32Arrays } from "../../../support/arbitraries.ts";
import { assertClose, F32_MIN_NORMAL, gammaN } from "../../../support/compare.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";
import { bitsOf, evaluate, evaluateEverywhere, holds, testFamilies } from "../../harness.ts";

const families = await testFamilies();
const absolute = (x: F64Array) => x.map(Math.abs);
const random = (shape: readonly number[], seed: number) =>
  F64Array.fromF32(shape, gaussian(shape, new Random(seed)).data);
const apply = (x: Tensor, weight: Tensor, bias?: Tensor) => linear(x, { weight, ...(bias && { bias }) });

const VALUES = { huge: 1e12, tiny: 1e-12 } as const;
const cases = fc.record({
  members: fc.integer({ min: 1, max: 4 }),
  rows: fc.array(fc.constantFrom(1, 3, 5, 9), { maxLength: 2 }),
  size: fc.tuple(extents(), extents()),
  weight: fc.constantFrom("shared", "per member"),
  bias: fc.constantFrom("none", "shared", "per member"),
}).chain(({ members, rows, size: [k, n], weight, bias }) => {
  const own = (kind: string) => kind === "per member" ? [members] : [];
  return fc.tuple(
    f32Arrays([members, ...rows, k], VALUES),
    f32Arrays([...own(weight), n, k], VALUES),
    bias === "none" ? fc.constant(undefined) : f32Arrays([...own(bias), n], VALUES),
  );
});

test("linear() with weight and bias shared or per member agrees with the oracle, and every kernel family gives the same bits", async () => {
  await holds(cases, async ([x, weight, bias]) => {
    const inputs = bias ? [x, weight, bias] : [x, weight];
    const { y, shape, dy, gradients } = await evaluateEverywhere(
      families,
      (_, [t, w, b]) => apply(t!, w!, b),
      { inputs, ownOrder: [2] },
    );
    const expected = reference(x, weight, bias);
    assert.deepEqual(shape, expected.shape);
    const [n, k] = weight.shape.slice(-2) as [number, number];
    // A chain of multiply-adds, and one more rounding for the bias; flushed denormal products lose 2⁻¹²⁶ each.
    const bound = (terms: number) => (magnitude: number) =>
      gammaN(terms) * magnitude + terms * F32_MIN_NORMAL;
    assertClose(y, expected, {
      absolute: reference(absolute(x), absolute(weight), bias && absolute(bias)).map(bound(k + 1)).data,
    });
    const wanted = linearGradient(x, weight, dy, bias);
    const magnitudes = linearGradient(absolute(x), absolute(weight), absolute(dy), bias && absolute(bias));
    const rows = x.size / k;
    assertClose(gradients[0]!, wanted.x, { absolute: magnitudes.x.map(bound(n)).data });
    assertClose(gradients[1]!, wanted.weight, { absolute: magnitudes.weight.map(bound(rows)).data });
    if (bias) assertClose(gradients[2]!, wanted.bias!, { absolute: magnitudes.bias!.map(bound(rows)).data });
  }, 30);
});

test("linear() of a member and its gradients have the same bits in a block as alone", async () => {
  const sizes = fc.record({
    members: fc.integer({ min: 2, max: 5 }),
    rows: fc.constantFrom(1, 7, 16, 40),
    k: extents(65),
    n: extents(65),
    seed: fc.nat(),
  });
  await holds(sizes, async ({ members, rows, k, n, seed }) => {
    const all = [[members, rows, k], [members, n, k], [members, n]].map((shape, i) =>
      random(shape, seed + i)
    );
    const dy = random([members, rows, n], seed + 3);
    const own = seed % members;
    const part = ({ shape, data }: F64Array) => {
      const size = data.length / members;
      return F64Array.from([1, ...shape.slice(1)], data.subarray(own * size, (own + 1) * size));
    };
    for (const gpu of Object.values(families)) {
      const together = await evaluate(gpu, apply, { inputs: all, dy: () => dy });
      const alone = await evaluate(gpu, apply, { inputs: all.map(part), dy: () => part(dy) });
      const slice = (values: Float32Array) =>
        values.slice(own * values.length / members, (own + 1) * values.length / members);
      assert.deepEqual(bitsOf(slice(together.y)), bitsOf(alone.y));
      together.gradients.forEach((each, i) =>
        assert.deepEqual(bitsOf(slice(each)), bitsOf(alone.gradients[i]!), `gradient ${i}`)
      );
    }
  }, 20);
});

test("linear() of a batch padded by rows without a gradient keeps every bit", async () => {
  // 300 rows and more: the gradient of the bias is summed in several chunks.
  for (const [rows, padding] of [[5, 3], [31, 40], [250, 20], [300, 300], [500, 100]] as const) {
    const [k, n] = [6, 9];
    const x = random([1, rows + padding, k], rows);
    const dy = random([1, rows + padding, n], rows + 1).map((value, i) => i < rows * n ? value : 0);
    const cut = ({ data }: F64Array, width: number) =>
      F64Array.from([1, rows, width], data.subarray(0, rows * width));
    const parameters = [random([1, n, k], 3), random([1, n], 4)];
    for (const gpu of Object.values(families)) {
      const padded = await evaluate(gpu, apply, { inputs: [x, ...parameters], dy: () => dy });
      const plain = await evaluate(gpu, apply, { inputs: [cut(x, k), ...parameters], dy: () => cut(dy, n) });
      assert.deepEqual(bitsOf(padded.y.slice(0, rows * n)), bitsOf(plain.y));
      assert.deepEqual(bitsOf(padded.gradients[0]!.slice(0, rows * k)), bitsOf(plain.gradients[0]!));
      assert.deepEqual(bitsOf(padded.gradients[1]!), bitsOf(plain.gradients[1]!));
      assert.deepEqual(
        bitsOf(padded.gradients[2]!),
        bitsOf(plain.gradients[2]!),
        `bias, ${rows} rows and ${padding}`,
      );
    }
  }
});

test("linear() of no rows is empty and gives the weights no gradient", async () => {
  for (const gpu of Object.values(families)) {
    const { shape, gradients } = await evaluate(gpu, apply, {
      inputs: [F64Array.full([2, 0, 3]), F64Array.full([2, 4, 3], 1), F64Array.full([2, 4], 1)],
    });
    assert.deepEqual(shape, [2, 0, 4]);
    assert.deepEqual(gradients.map((each) => each.length), [0, 24, 8]);
    assert.ok(gradients.every((each) => each.every((value) => value === 0)));
  }
});

test("linear() names all shapes where they do not fit", () => {
  const gpu = families.cpu!;
  const make = (...shape: number[]) => tensor(gpu, new Float32Array(sizeOf(shape)), { shape });
  using x = make(3, 2, 4);
  for (
    const [weight, bias] of [[[5, 3]], [[2, 5, 4]], [[5, 4], [4]], [[5, 4], [2, 5]], [[3, 5, 4], [2, 5]], [[
      4,
    ]]] as const
  ) {
    using w = make(...weight);
    using b = bias === undefined ? undefined : make(...bias);
    assert.throws(() => apply(x, w, b), {
      name: "TypeError",
      message: /Cannot apply a linear layer of weight .* to \[3, 2, 4\]: expected/,
    }, String(weight));
  }
});
