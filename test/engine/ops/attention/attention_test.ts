import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { scaledDotProductAttention, selfAttention } from "../../../../src/engine/ops/attention/attention.ts";
import type { Gpu } from "../../../../src/engine/gpu/device.ts";
import { backward } from "../../../../src/engine/backward.ts";
import { zeros } from "../../../../src/engine/ops/create.ts";
import { sum } from "../../../../src/engine/ops/reduction/reduce.ts";
import { type Tensor, tensor } from "../../../../src/engine/tensor.ts";
import { tidy } from "../../../../src/engine/tidy.ts";
import { F64Array, sizeOf } from "../../../reference/array.ts";
import {
  scaledDotProductAttention as reference,
  scaledDotProductAttentionGradient,
} from "../../../reference/attention.ts";
import { concat, reshape, slice } from "../../../reference/shape.ts";
import { assertClose } from "../../../support/compare.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";
import { bitsOf, evaluate, holds, run, testFamilies, upload } from "../../harness.ts";
import { attentionBounds } from "./attention_bounds.ts";

const families = await testFamilies();
const random = (shape: readonly number[], seed: number, scale = 1) =>
  F64Array.fromF32(shape, gaussian(shape, new Random(seed)).map((value) => value * scale).data);

interface Case {
  readonly leading: number[];
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly headSize: number;
  readonly mask: "none" | "keys" | "scores";
  readonly scale: number | undefined;
  readonly seed: number;
}

const cases: fc.Arbitrary<Case> = fc.record({
  leading: fc.array(fc.constantFrom(1, 2, 3), { maxLength: 2 }),
  heads: fc.constantFrom(1, 2, 3, 8),
  queries: fc.constantFrom(1, 3, 8, 17, 33),
  keys: fc.constantFrom(1, 2, 7, 16, 19, 65),
  headSize: fc.constantFrom(1, 4, 5, 12),
  mask: fc.constantFrom("none", "keys", "scores"),
  scale: fc.constantFrom(undefined, 0.25),
  seed: fc.nat(),
});

/**
 * A mask that hides some keys but never all of a row (keys of index 0 stay), shaped as asked for, and as the oracle
 * wants it.
 */
function maskOf(
  { leading, heads, queries, keys, mask, seed }: Case,
): { own: F64Array; wide: F64Array } | undefined {
  if (mask === "none") return undefined;
  const shape = mask === "keys" ? [...leading, keys] : [...leading, heads, queries, keys];
  const values = new Random(seed + 9);
  const own = F64Array.full(shape).map((_, i) =>
    i % keys > 0 && values.uniform() < 0.3 ? Math.fround(-1e30) : Math.fround(values.normal())
  );
  return { own, wide: mask === "keys" ? reshape(own, [...leading, 1, 1, keys]) : own };
}

/** How `check` calls: on a fused projection or on Q, K and V apart, and on which families; on all by default. */
interface Call {
  readonly projection: "fused" | "apart";
  readonly family?: string;
}

/** Each family adds up in an order of its own, so their bits differ. */
async function check(each: Case, { projection, family }: Call): Promise<void> {
  const where = family === undefined ? Object.values(families) : [families[family]!];
  for (const gpu of where) await checkOn(gpu, each, projection === "fused");
}

async function checkOn(gpu: Gpu, each: Case, fused: boolean): Promise<void> {
  const { leading, heads, queries, headSize, scale, seed } = each;
  const keys = fused ? queries : each.keys;
  const settled = { ...each, keys };
  const width = heads * headSize;
  const [q, k, v] = [queries, keys, keys].map((length, i) =>
    random([...leading, length, width], seed + i)
  ) as [F64Array, F64Array, F64Array];
  const mask = maskOf(settled);
  const options = { heads, ...(scale !== undefined && { scale }) };
  const inputs = fused ? [concat([q, k, v], -1)] : [q, k, v];
  const { y, shape, dy, gradients } = await evaluate(gpu, (first, second, third) => {
    const own = { ...options, ...(mask && { mask: upload(gpu, mask.own) }) };
    return fused
      ? selfAttention(first!, own)
      : scaledDotProductAttention(first!, second!, { ...own, v: third! });
  }, { inputs });
  const theirs = { ...options, ...(mask && { mask: mask.wide }) };
  const expected = reference(q, k, v, theirs);
  assert.deepEqual(shape, expected.shape);
  const flat = (x: F64Array) => reshape(x, [sizeOf(leading), ...x.shape.slice(-2)]);
  const bounds = attentionBounds({
    q: flat(q),
    k: flat(k),
    v: flat(v),
    dy: flat(dy),
    heads,
    scale: scale ?? 1 / Math.sqrt(headSize),
    fused: headSize >= 16,
    mask(sequence, head, query, key) {
      if (mask === undefined) return 0;
      const row = mask.own.shape.length === leading.length + 1
        ? sequence
        : (sequence * heads + head) * queries + query;
      return mask.own.data[row * keys + key]!;
    },
  });
  assertClose(y, expected, { absolute: bounds.y.data });
  const wanted = scaledDotProductAttentionGradient(q, k, v, dy, theirs);
  if (fused) {
    const join = (parts: { q: F64Array; k: F64Array; v: F64Array }) =>
      concat([parts.q, parts.k, parts.v], -1);
    assertClose(gradients[0]!, join(wanted), { absolute: join(bounds).data });
  } else {
    for (const [i, name] of (["q", "k", "v"] as const).entries()) {
      assertClose(gradients[i]!, wanted[name], { absolute: bounds[name].data });
    }
  }
}

test("scaledDotProductAttention() with heads and masks agrees with the oracle on every kernel family", async () => {
  await holds(cases, (each) => check(each, { projection: "apart" }), 30);
});

test("selfAttention() on a fused projection agrees with the oracle on every kernel family", async () => {
  await holds(cases, (each) => check(each, { projection: "fused" }), 30);
});

const lengths = [1, 2, 7, 31, 33, 65, 127, 130];
const usual: Case = {
  leading: [1],
  heads: 1,
  queries: 33,
  keys: 33,
  headSize: 32,
  mask: "none",
  scale: undefined,
  seed: 5,
};

for (const family of ["cpu", "gpu"]) {
  test(`scaledDotProductAttention() fused agrees with the oracle at any lengths, family ${family}`, async () => {
    const cases = fc.record({
      leading: fc.array(fc.constantFrom(1, 3), { maxLength: 1 }),
      heads: fc.constantFrom(1, 2),
      queries: fc.constantFrom(...lengths),
      keys: fc.constantFrom(...lengths),
      scale: fc.constantFrom(undefined, 1e-6, 3),
      seed: fc.nat(),
    });
    const settled = { headSize: 16, mask: "keys" as const };
    await holds(cases, (each) => check({ ...each, ...settled }, { projection: "apart", family }), 12);
  });
}

// Head sizes on either side of each threshold of the plan, and one that only GPUs fuse.
for (
  const [family, headSize, mask] of [
    ["cpu", 24, "keys"],
    ["cpu", 32, "scores"],
    ["cpu", 64, "none"],
    ["cpu", 40, "none"],
    ["cpu", 72, "none"],
    ["gpu", 20, "scores"],
    ["gpu", 128, "none"],
  ] as const
) {
  test(`selfAttention() agrees with the oracle at head size ${headSize}, family ${family}`, async () => {
    const queries = headSize > 64 ? 31 : 65;
    await check({ ...usual, leading: [2], heads: 2, queries, headSize, mask }, {
      projection: "fused",
      family,
    });
  });
}

for (const headSizes of [[3, 8], [16]]) {
  test(`selfAttention() of a sequence padded by masked tokens keeps every bit, and so do its gradients, head size ${headSizes}`, async () => {
    const sizes = fc.record({
      tokens: fc.constantFrom(1, 5, 16, 31),
      padding: fc.constantFrom(1, 3, 16, 40),
      heads: fc.constantFrom(1, 3),
      headSize: fc.constantFrom(...headSizes),
      seed: fc.nat(),
    });
    await holds(sizes, async ({ tokens, padding, heads, headSize, seed }) => {
      const width = heads * headSize;
      const long = tokens + padding;
      const wide = random([1, long, 3 * width], seed);
      const dyWide = random([1, long, width], seed + 1).map((value, i) => i < tokens * width ? value : 0);
      const head = (x: F64Array) => slice(x, [0, 0, 0], [1, tokens, x.shape[2]!]);
      const mask = (length: number) => Float32Array.from({ length }, (_, i) => i < tokens ? 0 : -1e30);
      for (const gpu of Object.values(families)) {
        const attend = (length: number) => (qkv: Tensor) =>
          selfAttention(qkv, { heads, mask: tensor(gpu, mask(length), { shape: [1, length] }) });
        const padded = await evaluate(gpu, attend(long), { inputs: [wide], dy: () => dyWide });
        const plain = await evaluate(gpu, attend(tokens), { inputs: [head(wide)], dy: () => head(dyWide) });
        assert.deepEqual(bitsOf(padded.y.slice(0, tokens * width)), bitsOf(plain.y));
        assert.deepEqual(
          bitsOf(padded.gradients[0]!.slice(0, tokens * 3 * width)),
          bitsOf(plain.gradients[0]!),
        );
        assert.ok(
          padded.gradients[0]!.subarray(tokens * 3 * width).every((value) => value === 0),
          "masked tokens have no gradient",
        );
      }
    }, 20);
  });
}

test("selfAttention() of a sequence has the same bits whatever sequences stand beside it", async () => {
  for (const headSize of [6, 16]) {
    const [sequences, tokens, heads] = [5, 13, 2];
    const qkv = random([sequences, tokens, 3 * heads * headSize], 1);
    const mask = random([sequences, tokens], 2);
    for (const gpu of Object.values(families)) {
      const together = await run(
        gpu,
        () => selfAttention(upload(gpu, qkv), { heads, mask: upload(gpu, mask) }),
      );
      for (let s = 0; s < sequences; s++) {
        const own = (x: F64Array) => {
          const size = x.size / sequences;
          return upload(
            gpu,
            F64Array.from([1, ...x.shape.slice(1)], x.data.subarray(s * size, (s + 1) * size)),
          );
        };
        const alone = await run(gpu, () => selfAttention(own(qkv), { heads, mask: own(mask) }));
        assert.deepEqual(bitsOf(together.slice(s * alone.length, (s + 1) * alone.length)), bitsOf(alone));
      }
    }
  }
});

test("selfAttention() with every key hidden averages over them instead of giving NaN, and so do its gradients", async () => {
  for (const headSize of [1, 16]) {
    for (const gpu of Object.values(families)) {
      const qkv = random([1, 3, 3 * headSize], 3);
      const ones = (shape: readonly number[]) => F64Array.full(shape, 1);
      const hidden = tensor(gpu, [-1e30, -1e30, -1e30], { shape: [1, 3] });
      const { y, gradients } = await evaluate(gpu, (x) => selfAttention(x, { heads: 1, mask: hidden }), {
        inputs: [qkv],
        dy: ones,
      });
      hidden.dispose();
      for (let i = 0; i < 3; i++) {
        for (let d = 0; d < headSize; d++) {
          const values = [0, 1, 2].map((j) => qkv.data[j * 3 * headSize + 2 * headSize + d]!);
          const mean = values.reduce((sum, value) => sum + value) / 3;
          // Two additions, a division and a product, of numbers below 4.
          assert.ok(Math.abs(y[i * headSize + d]! - mean) < 16 * 2 ** -23);
          assert.ok(Math.abs(gradients[0]![i * 3 * headSize + 2 * headSize + d]! - 1) < 8 * 2 ** -23);
        }
      }
    }
  }
});

test("selfAttention() takes huge and tiny scores without overflow, family by family", async () => {
  for (const gpu of Object.values(families)) {
    const qkv = random([1, 33, 48], 4, 1e4);
    const evaluated = await evaluate(gpu, (x) => selfAttention(x, { heads: 1 }), { inputs: [qkv] });
    assert.ok([...evaluated.y, ...evaluated.gradients[0]!].every(Number.isFinite));
    // Scores of 1e8 leave one key a query: y is one of the rows of V.
    for (let i = 0; i < 33; i++) {
      const distances = Array.from(
        { length: 33 },
        (_, j) =>
          Math.max(
            ...Array.from({ length: 16 }, (_, d) =>
              Math.abs(evaluated.y[i * 16 + d]! - qkv.data[j * 48 + 32 + d]!)),
          ),
      );
      assert.equal(Math.min(...distances), 0, `query ${i}`);
    }
  }
});

test("selfAttention() gives the same bits each time", async () => {
  const qkv = random([2, 33, 96], 6);
  for (const gpu of Object.values(families)) {
    const again = () => evaluate(gpu, (x) => selfAttention(x, { heads: 2 }), { inputs: [qkv] });
    const first = await again();
    const second = await again();
    assert.deepEqual(bitsOf(first.y), bitsOf(second.y));
    assert.deepEqual(bitsOf(first.gradients[0]!), bitsOf(second.gradients[0]!));
  }
});

test("selfAttention() with its gradient takes memory linear in the length", () => {
  // Fused on every adapter; the kernels for CPUs need subgroups of some sizes.
  const gpu = families["gpu"]!;
  /** The most bytes that were alive at once, over those before; nothing is run, only recorded. */
  const bytes = (tokens: number) => {
    const before = gpu.stats();
    const sizes: number[] = [];
    tidy(() => {
      const qkv = zeros(gpu, [1, tokens, 48]).requireGrad();
      const y = selfAttention(qkv, { heads: 1 });
      sizes.push(gpu.stats().liveBytes - before.liveBytes);
      backward(sum(y), [qkv]);
      sizes.push(gpu.stats().peakBytes - before.liveBytes);
    });
    return sizes;
  };
  // qkv, y and four numbers a query; a size class is at most an eighth too large.
  for (const tokens of [1024, 2048, 4096]) {
    const [forward] = bytes(tokens);
    const needed = 4 * tokens * (48 + 16 + 4);
    assert.ok(forward! >= needed && forward! <= 1.125 * needed, `${forward} bytes for ${tokens} tokens`);
  }
  // With dqkv, dy and what the sum holds, and never a matrix of 4096² numbers.
  const [, peak] = bytes(4096);
  assert.ok(peak! < 4 * 4096 * 4 * (48 + 16 + 4), `${peak} bytes`);
});

test("scaledDotProductAttention() and selfAttention() refuse shapes that do not fit", () => {
  const gpu = families.cpu!;
  const make = (...shape: number[]) => tensor(gpu, new Float32Array(sizeOf(shape)), { shape });
  using q = make(2, 3, 4);
  using v = make(2, 5, 4);
  using short = make(2, 5, 3);
  assert.throws(() => scaledDotProductAttention(q, short, { heads: 1, v }), {
    name: "TypeError",
    message: /q \[2, 3, 4\], k \[2, 5, 3\], v \[2, 5, 4\]/,
  });
  assert.throws(() => scaledDotProductAttention(q, v, { heads: 3, v }), {
    name: "TypeError",
    message: /Cannot split width 4 into 3 heads/,
  });
  assert.throws(() => selfAttention(q, { heads: 1 }), {
    name: "TypeError",
    message: /\[2, 3, 4\]: expected \[\.\.\., T, 3·D\]/,
  });
  // A causal mask [T, S] would be spread over the wrong rows.
  using causal = make(3, 5);
  assert.throws(() => scaledDotProductAttention(q, v, { heads: 2, v, mask: causal }), {
    name: "TypeError",
    message: /scores \[2, 2, 3, 5\] by \[3, 5\]: expected that shape or \[2, 5\]/,
  });
});
