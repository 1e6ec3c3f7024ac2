import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  addProducts,
  innerProduct,
  type LowRankProduct,
  lowRankSvd,
  productNorm,
  sumBatch,
} from "../../../src/engine/linalg/mod.ts";
import { matmul } from "../../../src/engine/ops/matmul/matmul.ts";
import { broadcastTo } from "../../../src/engine/ops/shape.ts";
import { tensor } from "../../../src/engine/tensor.ts";
import { disposeAll } from "../../../src/engine/tidy.ts";
import { F64Array } from "../../reference/array.ts";
import { matmul as product } from "../../reference/matmul.ts";
import { bestRankError, jacobiSvd as oracle } from "../../reference/svd.ts";
import { extents, f32Arrays } from "../../support/arbitraries.ts";
import { F32_UNIT_ROUNDOFF } from "../../support/compare.ts";
import { gaussian } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";
import { bitsOf, holds, run, testGpu, upload } from "../harness.ts";
import { assertFactors, download, frobenius, type HostSvd, residual } from "./check.ts";

const gpu = await testGpu();
const gpuClass = await testGpu("gpu");

/** The factors of a product on the host. */
interface HostProduct {
  readonly b: F64Array;
  readonly a: F64Array;
}

const send = ({ b, a }: HostProduct, on = gpu): LowRankProduct => ({ b: upload(on, b), a: upload(on, a) });

async function decompose(host: HostProduct, rank?: number, on = gpu): Promise<HostSvd> {
  const before = on.stats().liveBytes;
  const factors = send(host, on);
  const svd = await download(await lowRankSvd(factors, rank === undefined ? {} : { rank }));
  disposeAll([factors.b, factors.a]);
  assert.equal(on.stats().liveBytes, before, "bytes alive afterwards");
  return svd;
}

/** Σⱼ ‖bⱼ‖·‖aⱼ‖, what the errors are measured by. */
function sizeOfTerms({ b, a }: HostProduct): number {
  const [m, k] = b.shape as [number, number];
  const n = a.shape[1]!;
  let total = 0;
  for (let j = 0; j < k; j++) {
    const column = F64Array.from([m], Array.from({ length: m }, (_, i) => b.data[i * k + j]!));
    total += frobenius(column) * frobenius(F64Array.from([n], a.data.subarray(j * n, (j + 1) * n)));
  }
  return total;
}

/**
 * Three roundings of a factor (its normalisation, the reflections, the core), those of the small decomposition and of its
 * vectors. Each is some √k roundings long, as errors add up at random: three of these were met at most.
 */
const errorBound = ({ a }: HostProduct) => 8 * Math.sqrt(a.shape[0]! + 4) * F32_UNIT_ROUNDOFF;

function assertTruncatedSvd(host: HostProduct, svd: HostSvd, rank: number): void {
  assertFactors(svd);
  const exact = product(host.b, host.a);
  const spectrum = oracle(exact).s;
  const allowed = errorBound(host) * sizeOfTerms(host) + 2 ** -126;
  assert.equal(svd.s.length, rank);
  svd.s.forEach((value, j) =>
    assert.ok(
      Math.abs(value - spectrum[j]!) <= allowed,
      `σ ${j}: expected ${spectrum[j]}, got ${value}, tolerance ${allowed}`,
    )
  );
  const error = frobenius(residual(exact, svd));
  const best = bestRankError(spectrum, rank).frobenius;
  assert.ok(error <= best + allowed, `‖BA − USVᵀ‖ is ${error}, the best is ${best}, tolerance ${allowed}`);
}

const kinds = ["ordinary", "tiny", "huge", "zero", "equal", "mixed"] as const;
const products = fc.tuple(extents(65), extents(65), extents(40), fc.nat(), fc.boolean()).chain((
  [m, n, k, seed, opposite],
) =>
  fc.tuple(
    // Terms of 1e15 or 1e-15 at most, or of ordinary size from factors far apart.
    f32Arrays([m, k], { classes: kinds, huge: 1e15, tiny: 1e-15 }),
    f32Arrays([k, n], opposite ? { classes: ["ordinary"] } : { classes: kinds, huge: 1e15, tiny: 1e-15 }),
  ).map(([b, a]) => ({ b, a, rank: 1 + seed % Math.min(m, n) }))
);

test("lowRankSvd() is the truncated SVD of the product that float64 forms, whatever shapes and scales", async () => {
  for (const on of [gpu, gpuClass]) {
    await holds(
      products,
      async ({ rank, ...host }) => assertTruncatedSvd(host, await decompose(host, rank, on), rank),
      on === gpu ? 40 : 12,
    );
  }
});

/** b with the terms stretched and a shrunk in turn by powers of ten, so that the product stays as it is. */
function skewed({ b, a }: HostProduct, power: number): HostProduct {
  const k = a.shape[0]!;
  const stretch = (j: number) => 2 ** (power * (j - (k - 1) / 2));
  return {
    b: b.map((value, i) => value * stretch(i % k)),
    a: a.map((value, i) => value / stretch(Math.floor(i / a.shape[1]!))),
  };
}

test("lowRankSvd() doesn't mind how a term is divided between its factors", async () => {
  const random = new Random(3);
  const host = { b: gaussian([31, 6], random), a: gaussian([6, 20], random) };
  const factors = { b: F64Array.from([31, 6], host.b.toF32()), a: F64Array.from([6, 20], host.a.toF32()) };
  for (const power of [10, 40]) {
    const each = skewed(factors, power);
    assertTruncatedSvd(each, await decompose(each), 6);
  }
});

test("lowRankSvd() finds small values beside large ones, and the zeros of dependent terms", async () => {
  const random = new Random(8);
  const [m, n, k] = [50, 41, 9];
  const b = F64Array.fromF32([m, k], gaussian([m, k], random).data);
  const a = F64Array.fromF32([k, n], gaussian([k, n], random).data);
  // Terms 3 to 5 take back terms 0 to 2 to the bit: a rank of 3 is left.
  const cancelling = {
    b: b.map((value, i) => i % k >= 3 && i % k < 6 ? b.data[i - 3]! : value),
    a: a.map((value, i) => i >= 3 * n && i < 6 * n ? -a.data[i - 3 * n]! : value),
  };
  const { s } = await decompose(cancelling);
  const allowed = errorBound(cancelling) * sizeOfTerms(cancelling);
  assert.ok(s.slice(3).every((value) => value <= allowed), `${s}`);
  assertTruncatedSvd(cancelling, await decompose(cancelling, 3), 3);
});

test("lowRankSvd() gives more triplets than there are terms, with zeros", async () => {
  const host = {
    b: F64Array.from([4, 1], [0, 3, 0, 4]),
    a: F64Array.from([1, 3], [0, 0, 2]),
  };
  const svd = await decompose(host, 3);
  assertTruncatedSvd(host, svd, 3);
  assert.ok(Math.abs(svd.s[0]! - 10) <= 1e-5 && svd.s[1] === 0 && svd.s[2] === 0, `${svd.s}`);
  const zero = { b: F64Array.full([4, 2]), a: F64Array.full([2, 3]) };
  assert.deepEqual([...(await decompose(zero)).s], [0, 0]);
});

test("lowRankSvd() repeats its bits, and a batch has those of its members alone", async () => {
  const random = new Random(21);
  for (const [m, n, k] of [[37, 20, 8], [12, 40, 16], [9, 7, 12]] as const) {
    const members = [0, 1, 2].map((i) => ({
      b: F64Array.fromF32([m, k], gaussian([m, k], random).map((value) => value * 10 ** (-3 * i)).data),
      a: F64Array.fromF32([k, n], gaussian([k, n], random).data),
    }));
    const join = (key: "a" | "b", shape: number[]) =>
      tensor(gpu, new Float32Array(members.flatMap((each) => [...each[key].data])), { shape });
    const rank = 5;
    const batch = await lowRankSvd({ b: join("b", [3, m, k]), a: join("a", [3, k, n]) }, { rank });
    assert.deepEqual([batch.u.shape, batch.s.shape, batch.vt.shape], [[3, m, rank], [3, rank], [3, rank, n]]);
    const found = await Promise.all([batch.u.floats(), batch.s.floats(), batch.vt.floats()]);
    for (const [i, member] of members.entries()) {
      const alone = await decompose(member, rank);
      const parts = [alone.u.toF32(), alone.s, alone.vt.toF32()];
      found.forEach((each, p) => {
        const size = each.length / 3;
        assert.deepEqual(bitsOf(each.slice(i * size, (i + 1) * size)), bitsOf(parts[p]!));
      });
    }
  }
});

test("productNorm() is the norm that float64 finds, to the size of the terms, whatever their scale", async () => {
  for (const on of [gpu, gpuClass]) {
    await holds(products, async (host) => {
      const exact = frobenius(product(host.b, host.a));
      const { b, a } = send(host, on);
      const [found] = await run(on, () => productNorm({ b, a }));
      disposeAll([b, a]);
      const allowed = errorBound(host) * sizeOfTerms(host) + 2 ** -126;
      assert.ok(Math.abs(found! - exact) <= allowed, `expected ${exact}, got ${found}, tolerance ${allowed}`);
    }, 25);
  }
});

test("productNorm() keeps what is left of terms that nearly cancel", async () => {
  const random = new Random(2);
  const [m, n, r] = [40, 30, 4];
  const [b, a] = [gaussian([m, r], random).toF32(), gaussian([r, n], random).toF32()];
  const near = a.map((value, i) => -Math.fround(value * (1 + (i % 7) * 2 ** -16)));
  const host = {
    b: F64Array.from(
      [m, 2 * r],
      Array.from({ length: m }, (_, i) => {
        const row = b.subarray(i * r, (i + 1) * r);
        return [...row, ...row];
      }).flat(),
    ),
    a: F64Array.from([2 * r, n], [...a, ...near]),
  };
  const exact = frobenius(product(host.b, host.a));
  const factors = send(host);
  const [found] = await run(gpu, () => productNorm(factors));
  // 1e-4 of the terms are left. Their squares, as Gram matrices sum them, would be known to 2^-24 of what cancels: 2 % and more.
  assert.ok(exact < 1e-4 * sizeOfTerms(host), `${exact}`);
  assert.ok(Math.abs(found! / exact - 1) <= 5e-3, `expected ${exact}, got ${found}`);
});

test("innerProduct() is Σ xᵢⱼ·yᵢⱼ of the matrices, alone and in a batch", async () => {
  const random = new Random(5);
  const draw = (shape: number[]) => F64Array.fromF32(shape, gaussian(shape, random).data);
  for (const [m, n, k, l] of [[1, 1, 1, 1], [17, 5, 3, 8], [40, 33, 7, 2]] as const) {
    const [x, y] = [{ b: draw([m, k]), a: draw([k, n]) }, { b: draw([m, l]), a: draw([l, n]) }];
    const [p, q] = [product(x.b, x.a), product(y.b, y.a)];
    const expected = p.data.reduce((sum, value, i) => sum + value * q.data[i]!, 0);
    const [first, second] = [send(x), send(y)];
    const [found] = await run(gpu, () => innerProduct(first, second));
    const allowed = 16 * Math.sqrt(m + n) * F32_UNIT_ROUNDOFF * sizeOfTerms(x) * sizeOfTerms(y);
    assert.ok(Math.abs(found! - expected) <= allowed, `expected ${expected}, got ${found}`);
    const twice = ({ b, a }: LowRankProduct) => ({
      b: broadcastTo(b, [2, ...b.shape]),
      a: broadcastTo(a, [2, ...a.shape]),
    });
    assert.deepEqual([...await run(gpu, () => innerProduct(twice(first), twice(second)))], [found, found]);
    const [norm] = await run(gpu, () => productNorm(first));
    assert.deepEqual([...await run(gpu, () => productNorm(twice(first)))], [norm, norm]);
  }
});

test("addProducts() and sumBatch() are sums of products, with the terms in their order", async () => {
  const x = { b: tensor(gpu, [1, 2], { shape: [2, 1] }), a: tensor(gpu, [3, 4, 5], { shape: [1, 3] }) };
  const y = {
    b: tensor(gpu, [1, 0, 0, -1], { shape: [2, 2] }),
    a: tensor(gpu, [1, 1, 1, 2, 2, 2], { shape: [2, 3] }),
  };
  const { b, a } = addProducts([x, y]);
  assert.deepEqual([...await b.data()], [1, 1, 0, 2, 0, -1]);
  assert.deepEqual([...await a.data()], [3, 4, 5, 1, 1, 1, 2, 2, 2]);
  assert.deepEqual([...await run(gpu, () => matmul(b, a))], [4, 5, 6, 4, 6, 8]);
  // Two products of two terms each, in shares of a quarter and three.
  const batch = {
    b: tensor(gpu, [1, 2, 3, 4, 5, 6, 7, 8], { shape: [2, 2, 2] }),
    a: tensor(gpu, [1, 0, 0, 1, 1, 1, 0, 2], { shape: [2, 2, 2] }),
  };
  const sum = sumBatch(batch, tensor(gpu, [0.25, 0.75]));
  assert.deepEqual(sum.b.shape, [2, 4]);
  assert.deepEqual([...await sum.b.data()], [0.25, 0.5, 3.75, 4.5, 0.75, 1, 5.25, 6]);
  assert.deepEqual([...await sum.a.data()], [1, 0, 0, 1, 1, 1, 0, 2]);
  assert.throws(() => sumBatch(x, tensor(gpu, [1])), /expected \[N, m, k\] and \[N\]/);
  assert.throws(() => addProducts([x, { b: x.b, a: y.a }]), TypeError);
});

test("lowRankSvd() refuses what it can't decompose, and frees what it used", async () => {
  const of = (b: number[], a: number[]) => ({
    b: tensor(gpu, b, { shape: [b.length, 1] }),
    a: tensor(gpu, a, { shape: [1, a.length] }),
  });
  const live = gpu.stats().liveBytes;
  const refused = async (factors: LowRankProduct, rank: number, expected: object) => {
    await assert.rejects(lowRankSvd(factors, { rank }), expected);
    disposeAll([factors.b, factors.a]);
    assert.equal(gpu.stats().liveBytes, live, "bytes alive afterwards");
  };
  await refused(of([1, 2], [3, 4, 5]), 3, {
    name: "RangeError",
    message: "Cannot decompose a product [2, 3] to rank 3: expected an integer from 1 to 2",
  });
  await refused(of([1, NaN], [3, 4, 5]), 1, { name: "NonFiniteError" });
  await refused(of([1, 2], [3, Infinity, 5]), 2, { name: "NonFiniteError" });
  await refused(of([1e30, 2], [3e30, 1]), 1, { name: "NonFiniteError", message: /over the range of f32/ });
  // Each term is within the range, their sum is not.
  const { b, a } = of([3e38, 3e38], [1, 1]);
  await refused({ b, a }, 1, { name: "NonFiniteError", message: /over the range of f32/ });
  const mismatched = { b: tensor(gpu, [1, 2], { shape: [1, 2] }), a: tensor(gpu, [1, 2], { shape: [1, 2] }) };
  await assert.rejects(lowRankSvd(mismatched), {
    name: "TypeError",
    message:
      "Cannot decompose a product of [1, 2] and [1, 2]: expected [m, k] and [k, n], or [N, m, k] and [N, k, n], none of them 0",
  });
});
