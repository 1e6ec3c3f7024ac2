import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Gpu } from "../../../../src/engine/gpu/device.ts";
import { scaledDotProductAttention } from "../../../../src/engine/ops/attention/attention.ts";
import { relativeAttention } from "../../../../src/engine/ops/attention/relative_attention.ts";
import { RelativePositions } from "../../../../src/engine/ops/attention/relative_positions.ts";
import { type Tensor, tensor } from "../../../../src/engine/tensor.ts";
import { F64Array } from "../../../reference/array.ts";
import {
  relativeAttention as reference,
  relativeAttentionGradient,
  type RelativeAttentionOperands,
} from "../../../reference/relative_attention.ts";
import { reshape } from "../../../reference/shape.ts";
import { f32Arrays } from "../../../support/arbitraries.ts";
import { assertClose } from "../../../support/compare.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";
import { bitsOf, evaluate, holds, run, testFamilies, upload } from "../../harness.ts";
import { relativeAttentionBounds } from "./relative_attention_bounds.ts";

const families = await testFamilies();
const random = (shape: readonly number[], seed: number, scale = 1) =>
  F64Array.fromF32(shape, gaussian(shape, new Random(seed)).map((value) => value * scale).data);

/** A row for each distance up to `near`, then one for every three; `height` or more cut it off. */
function rowOf(distance: number, { near, height }: { near: number; height: number }): number {
  const far = Math.abs(distance);
  const step = far <= near ? far : near + Math.ceil((far - near) / 3);
  return Math.min(Math.max(Math.sign(distance) * step + (height >> 1), 0), height - 1);
}

function positionsOf(gpu: Gpu, reach: number, shape: { near: number; height: number }): RelativePositions {
  return new RelativePositions(
    gpu,
    Array.from({ length: 2 * reach - 1 }, (_, i) => rowOf(i - reach + 1, shape)),
  );
}

interface Case {
  /** [B], or [C, B]. */
  readonly leading: number[];
  readonly heads: number;
  readonly headSize: number;
  readonly length: number;
  readonly near: number;
  readonly height: number;
  readonly tables: "keys" | "queries" | "both" | "none";
  /** Whether each entry of the first axis has tables of its own. */
  readonly own: boolean;
  readonly masked: boolean;
  readonly scale: number | undefined;
  readonly seed: number;
}

const cases: fc.Arbitrary<Case> = fc.record({
  leading: fc.array(fc.constantFrom(1, 2, 3), { minLength: 1, maxLength: 2 }),
  heads: fc.constantFrom(1, 2, 3),
  headSize: fc.constantFrom(1, 4, 5, 16),
  length: fc.constantFrom(1, 2, 7, 8, 9, 17, 33),
  near: fc.constantFrom(1, 4, 100),
  height: fc.constantFrom(1, 6, 15, 32, 80),
  tables: fc.constantFrom("keys", "queries", "both", "both", "none"),
  own: fc.boolean(),
  masked: fc.boolean(),
  scale: fc.constantFrom(undefined, 0.25),
  seed: fc.nat(),
});

/** Everything that the operation and the oracle need for a case. */
function problem(each: Case) {
  const { leading, heads, headSize, length, tables, own, masked, seed, height } = each;
  const width = heads * headSize;
  const table = (which: string, at: number) =>
    tables === which || tables === "both"
      ? random(own ? [leading[0]!, height, width] : [height, width], seed + at)
      : undefined;
  const operands: RelativeAttentionOperands = {
    q: random([...leading, length, width], seed),
    k: random([...leading, length, width], seed + 1),
    v: random([...leading, length, width], seed + 2),
    positionKeys: table("keys", 3),
    positionQueries: table("queries", 4),
  };
  const values = new Random(seed + 9);
  const mask = F64Array.full([...leading, length]).map((_, i) =>
    i % length > 0 && values.uniform() < 0.3 ? Math.fround(-1e30) : 0
  );
  const options = {
    heads,
    scale: each.scale ?? 1 / Math.sqrt(headSize),
    row: (distance: number) => rowOf(distance, each),
    ...(masked && { mask: (sequence: number, key: number) => mask.data[sequence * length + key]! }),
  };
  return { operands, options, mask };
}

/** The operation on the operands that there are, in order. */
function attend(gpu: Gpu, each: Case, positions: RelativePositions) {
  const { operands, mask } = problem(each);
  const names = Object.keys(operands).filter((name) => operands[name as "q"] !== undefined);
  const inputs = names.map((name) => operands[name as "q"]);
  const f = (...tensors: Tensor[]) => {
    const { q, k, ...rest } = Object.fromEntries(names.map((name, i) => [name, tensors[i]!]));
    return relativeAttention(q!, k!, {
      v: rest["v"]!,
      ...rest,
      positions,
      heads: each.heads,
      ...(each.scale !== undefined && { scale: each.scale }),
      ...(each.masked && { mask: upload(gpu, mask) }),
    });
  };
  return { f, inputs, names: names as (keyof RelativeAttentionOperands)[] };
}

async function checkOn(gpu: Gpu, each: Case): Promise<void> {
  const { operands, options } = problem(each);
  using positions = positionsOf(gpu, each.length + 3, each);
  const { f, inputs, names } = attend(gpu, each, positions);
  const { y, shape, dy, gradients } = await evaluate(gpu, f, { inputs });
  assert.deepEqual(shape, operands.q.shape);
  const flat = (x: F64Array) => reshape(x, [x.size / x.shape.at(-1)! / each.length, ...x.shape.slice(-2)]);
  const flattened = { ...operands, q: flat(operands.q), k: flat(operands.k), v: flat(operands.v) };
  const bounds = relativeAttentionBounds(flattened, flat(dy), options);
  assertClose(y, reference(flattened, options), { absolute: bounds.y.data });
  const wanted = relativeAttentionGradient(flattened, flat(dy), options);
  names.forEach((name, i) =>
    assertClose(gradients[i]!, wanted[name]!, { absolute: bounds.gradients[name]!.data })
  );
}

for (const [family, gpu] of Object.entries(families)) {
  test(`relativeAttention() and its gradients agree with the oracle (${family})`, async () => {
    await holds(cases, (each) => checkOn(gpu, each), 30);
  });

  test(`relativeAttention() agrees with the oracle beyond tiles, and where rows are many or few (${family})`, async () => {
    const usual = { leading: [2], heads: 2, headSize: 20, length: 70, own: true, scale: undefined, seed: 3 };
    for (const [near, height] of [[100, 256], [4, 32]] as const) {
      await checkOn(gpu, { ...usual, near, height, tables: "both", masked: true });
    }
  });

  test(`relativeAttention() takes every kind of number (${family})`, async () => {
    const shape = { near: 2, height: 6 };
    using positions = positionsOf(gpu, 9, shape);
    const sizes = { heads: 2, scale: 0.25 };
    const row = (distance: number) => rowOf(distance, shape);
    // Products of huge numbers would leave float32; denormals may be flushed, which is below every bound.
    const values = (shape: number[]) => f32Arrays(shape, { huge: 1e4, tiny: 1e-12 });
    const operands = fc.tuple(
      ...[[2, 9, 6], [2, 9, 6], [2, 9, 6], [6, 6], [6, 6]].map(values),
    ) as fc.Arbitrary<F64Array[]>;
    await holds(operands, async (inputs) => {
      const [q, k, v, positionKeys, positionQueries] = inputs as [
        F64Array,
        F64Array,
        F64Array,
        F64Array,
        F64Array,
      ];
      const f = (q: Tensor, k: Tensor, v: Tensor, positionKeys: Tensor, positionQueries: Tensor) =>
        relativeAttention(q, k, { v, positions, positionKeys, positionQueries, ...sizes });
      const { y, dy, gradients } = await evaluate(gpu, f as (...each: Tensor[]) => Tensor, { inputs });
      const flattened = { q, k, v, positionKeys, positionQueries };
      const bounds = relativeAttentionBounds(flattened, dy, { ...sizes, row });
      assertClose(y, reference(flattened, { ...sizes, row }), { absolute: bounds.y.data });
      const wanted = relativeAttentionGradient(flattened, dy, { ...sizes, row });
      (["q", "k", "v", "positionKeys", "positionQueries"] as const).forEach((name, i) =>
        assertClose(gradients[i]!, wanted[name]!, { absolute: bounds.gradients[name]!.data })
      );
    }, 40);
  });

  test(`relativeAttention() takes scores of 1e8 without overflow, each row a pick (${family})`, async () => {
    const each: Case = {
      leading: [1],
      heads: 1,
      headSize: 4,
      length: 17,
      near: 4,
      height: 16,
      tables: "both",
      own: false,
      masked: false,
      scale: undefined,
      seed: 8,
    };
    using positions = positionsOf(gpu, 20, each);
    const { f, inputs } = attend(gpu, each, positions);
    const { y, gradients } = await evaluate(gpu, f, {
      inputs: inputs.map((x) => x.map((value) => value * 1e4)),
    });
    assert.ok([y, ...gradients].every((values) => values.every(Number.isFinite)));
    const v = inputs[2]!.toF32().map((value) => Math.fround(value * 1e4));
    for (let i = 0; i < 17; i++) {
      const picks = Array.from(
        { length: 17 },
        (_, j) => [0, 1, 2, 3].every((d) => y[4 * i + d] === v[4 * j + d]),
      );
      assert.ok(picks.includes(true), `query ${i}`);
    }
  });

  test(`relativeAttention() keeps every bit under padding, and beside other sequences (${family})`, async () => {
    const [tokens, padding] = [11, 13];
    const shape = { near: 3, height: 24 };
    using positions = positionsOf(gpu, 30, shape);
    const tables = [random([24, 10], 5), random([24, 10], 6)];
    const [width, long] = [10, tokens + padding];
    const wide = [1, 2, 3, 4].map((seed) => random([1, long, width], seed));
    wide[3] = wide[3]!.map((value, i) => i < tokens * width ? value : 0);
    const head = (x: F64Array) => F64Array.from([1, tokens, width], x.data.subarray(0, tokens * width));
    const result = (length: number, [q, k, v, dy]: readonly F64Array[]) => {
      const mask = Array.from({ length: q!.shape[0]! * length }, (_, i) => i % length < tokens ? 0 : -1e30);
      return evaluate(gpu, (q, k, v, positionKeys, positionQueries) =>
        relativeAttention(q!, k!, {
          v: v!,
          heads: 2,
          positions,
          positionKeys,
          positionQueries,
          mask: tensor(gpu, mask, { shape: [q!.shape[0]!, length] }),
        }), { inputs: [q!, k!, v!, ...tables], dy: () => dy! });
    };
    const plain = await result(tokens, wide.map(head));
    const padded = await result(long, wide);
    const size = tokens * width;
    assert.deepEqual(bitsOf(padded.y.slice(0, size)), bitsOf(plain.y));
    padded.gradients.forEach((gradient, i) => {
      // The tables' gradients are whole.
      const own = i < 3 ? gradient.slice(0, size) : gradient;
      assert.deepEqual(bitsOf(own), bitsOf(plain.gradients[i]!), `gradient ${i}`);
      if (i < 3) assert.ok(gradient.subarray(size).every((value) => value === 0), `padding of gradient ${i}`);
    });
    const beside = wide.map((x, i) =>
      F64Array.from([2, long, width], [...x.data, ...random(x.shape, 20 + i).data])
    );
    const together = await result(long, beside);
    assert.deepEqual(bitsOf(together.y.slice(0, size)), bitsOf(plain.y));
    for (const i of [0, 1, 2]) {
      assert.deepEqual(
        bitsOf(together.gradients[i]!.slice(0, size)),
        bitsOf(plain.gradients[i]!),
        `gradient ${i}`,
      );
    }
  });

  test(`relativeAttention() gives each member's tables the bits that they have alone (${family})`, async () => {
    const each: Case = {
      leading: [3, 2],
      heads: 2,
      headSize: 5,
      length: 9,
      near: 2,
      height: 8,
      tables: "both",
      own: true,
      masked: false,
      scale: undefined,
      seed: 4,
    };
    using positions = positionsOf(gpu, 9, each);
    const { f, inputs } = attend(gpu, each, positions);
    const together = await evaluate(gpu, f, { inputs });
    for (const member of [0, 1, 2]) {
      const own = ({ shape, data }: F64Array) => {
        const size = data.length / 3;
        return F64Array.from([1, ...shape.slice(1)], data.subarray(member * size, (member + 1) * size));
      };
      const alone = await evaluate(gpu, f, { inputs: inputs.map(own), dy: () => own(together.dy) });
      [alone.y, ...alone.gradients].forEach((values, i) => {
        const all = i === 0 ? together.y : together.gradients[i - 1]!;
        const part = all.slice(member * values.length, (member + 1) * values.length);
        assert.deepEqual(bitsOf(part), bitsOf(values), `member ${member}, array ${i}`);
      });
    }
  });
}

test("relativeAttention() without tables has the bits of plain attention", async () => {
  for (const gpu of Object.values(families)) {
    using positions = positionsOf(gpu, 12, { near: 2, height: 8 });
    // Heads of 3 are never fused.
    const [q, k, v] = [1, 2, 3].map((seed) => random([2, 12, 6], seed)) as [F64Array, F64Array, F64Array];
    const relative = await run(
      gpu,
      () => relativeAttention(upload(gpu, q), upload(gpu, k), { v: upload(gpu, v), heads: 2, positions }),
    );
    const plain = await run(
      gpu,
      () => scaledDotProductAttention(upload(gpu, q), upload(gpu, k), { v: upload(gpu, v), heads: 2 }),
    );
    assert.deepEqual(bitsOf(relative), bitsOf(plain));
  }
});

test("relativeAttention() refuses shapes that do not fit, and texts beyond its reach", () => {
  const gpu = families["cpu"]!;
  const make = (...shape: number[]) =>
    tensor(gpu, new Float32Array(shape.reduce((a, b) => a * b)), { shape });
  using positions = positionsOf(gpu, 4, { near: 2, height: 5 });
  using q = make(2, 3, 4);
  using short = make(2, 2, 4);
  using long = make(2, 5, 4);
  using few = make(4, 4);
  using others = make(3, 5, 4);
  const options = { heads: 1, v: q, positions };
  assert.throws(() => relativeAttention(q, short, options), {
    name: "TypeError",
    message: /q \[2, 3, 4\], k \[2, 2, 4\], v \[2, 3, 4\]/,
  });
  for (const positionKeys of [few, others]) {
    assert.throws(() => relativeAttention(q, q, { ...options, positionKeys }), {
      name: "TypeError",
      message: /expected at least 5 rows, \[R, 4\], or \[2, R, 4\]/,
    });
  }
  assert.throws(() => relativeAttention(q, q, { ...options, heads: 3 }), {
    name: "TypeError",
    message: /heads/,
  });
  assert.throws(() => relativeAttention(long, long, { ...options, v: long }), {
    name: "RangeError",
    message: /5 tokens by distance: positions reach 4/,
  });
});

test("RelativePositions tells the rows of a length, widened to fours, and refuses rows that fall or have no middle", () => {
  const gpu = families["cpu"]!;
  // Distances −6 to 6 have the rows 1 to 13.
  using positions = new RelativePositions(gpu, Array.from({ length: 13 }, (_, i) => i + 1));
  assert.deepEqual([positions.reach, positions.size], [7, 14]);
  assert.deepEqual([1, 3, 7].map((length) => positions.span(length)), [
    { first: 4, count: 4 },
    { first: 4, count: 8 },
    { first: 0, count: 14 },
  ]);
  for (const rows of [[0, 1], [1, 0, 2], [0, 1.5, 2], [-1, 0, 1], []]) {
    assert.throws(() => new RelativePositions(gpu, rows), { name: "RangeError" });
  }
});
