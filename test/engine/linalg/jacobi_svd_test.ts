import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { NonFiniteError } from "../../../src/engine/errors.ts";
import { planTournament } from "../../../src/engine/linalg/tournament.ts";
import { ConvergenceError, jacobiSvd } from "../../../src/engine/linalg/mod.ts";
import { tensor } from "../../../src/engine/tensor.ts";
import { F64Array } from "../../reference/array.ts";
import { transpose } from "../../reference/shape.ts";
import { jacobiSvd as oracle } from "../../reference/svd.ts";
import { extents, f32Arrays } from "../../support/arbitraries.ts";
import { gaussian, matrixCases, matrixWithSpectrum } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";
import { holds, testAllFamilies, testGpu, upload } from "../harness.ts";
import { assertSvd, download, type HostSvd } from "./check.ts";

const gpu = await testGpu();
const gpuClass = await testGpu("gpu");
const families = await testAllFamilies();

async function decompose(a: F64Array, on = gpu): Promise<HostSvd> {
  const before = on.stats().liveBytes;
  const x = upload(on, a);
  const svd = await download(await jacobiSvd(x));
  x.dispose();
  assert.equal(on.stats().liveBytes, before, "bytes alive afterwards");
  return svd;
}

const matrices = fc.tuple(extents(65), extents(65)).chain((shape) =>
  f32Arrays(shape, { classes: ["ordinary", "tiny", "huge", "zero", "equal", "mixed"] })
);

test("jacobiSvd() agrees with the float64 oracle on any shape and scale", async () => {
  await holds(matrices, async (a) => assertSvd(a, await decompose(a), oracle(a).s), 30);
});

test("jacobiSvd() agrees with the float64 oracle in the kernels for GPUs", async () => {
  await holds(matrices, async (a) => assertSvd(a, await decompose(a, gpuClass), oracle(a).s), 10);
});

// Blocks are 2 rows for adapters without known subgroups and short stacks on GPUs, 8 with subgroups of 8, 16 for long stacks on
// GPUs; all sizes around one or two pairs of blocks.
for (const [name, on] of Object.entries(families)) {
  test(`jacobiSvd() agrees with the float64 oracle around whole pairs of blocks, ${name}`, async () => {
    for (const n of [3, 4, 5, 15, 16, 17, 31, 32, 33, 49]) {
      const a = F64Array.fromF32([n + n % 3, n], gaussian([n + n % 3, n], new Random(n)).data);
      assertSvd(a, await decompose(a, on), oracle(a).s);
    }
  });
}

for (
  const [n, kinds] of [[127, ["graded"]], [128, ["graded"]], [131, [
    "linear",
    "rank-deficient",
    "repeated",
  ]]] as const
) {
  for (
    const { name, matrix } of matrixCases([n, n], n).filter(({ name }) =>
      kinds.some((kind) => name.startsWith(kind))
    )
  ) {
    test(`jacobiSvd() decomposes a matrix that is ${name} in the kernels for GPUs`, async () => {
      assertSvd(matrix, await decompose(matrix, gpuClass), oracle(matrix).s);
    });
  }
}

test("planTournament() takes the kernel by adapter and count, and whole pairs of blocks", () => {
  const plan = (adapterClass: "cpu" | "gpu", subgroupSize: number | undefined, count: number) => {
    const adapter = { class: adapterClass, ...(subgroupSize !== undefined && { subgroupSize }) };
    const { kernel, block, rows } = planTournament(adapter, count);
    return [kernel.name, block, rows];
  };
  assert.deepEqual(plan("cpu", 8, 17), ["jacobi_block_round", 8, 32]);
  assert.deepEqual(plan("cpu", 8, 1), ["jacobi_block_round", 8, 16]);
  for (const size of [undefined, 4, 16]) {
    assert.deepEqual(plan("cpu", size, 17), ["jacobi_round", 2, 20]);
  }
  for (const size of [undefined, 8, 32]) {
    assert.deepEqual(plan("gpu", size, 127), ["jacobi_round", 2, 128]);
    assert.deepEqual(plan("gpu", size, 129), ["jacobi_block_workgroup_round", 16, 160]);
  }
});

for (const shape of [[1, 33], [33, 1], [32, 32], [127, 65], [33, 129]] as const) {
  for (const { name, matrix } of matrixCases(shape, 7)) {
    test(`jacobiSvd() decomposes a matrix that is ${name}`, async () => {
      assertSvd(matrix, await decompose(matrix), oracle(matrix).s);
    });
  }
}

test("jacobiSvd() decomposes 130×512 of a known spectrum", async () => {
  const spectrum = Array.from({ length: 130 }, (_, j) => 1 / (1 + j));
  // Rounding the matrix to float32 moves a singular value by at most 2^-24·‖A‖_F < 1e-7.
  const matrix = matrixWithSpectrum([130, 512], spectrum, new Random(130));
  assertSvd(matrix, await decompose(matrix), spectrum);
});

test("jacobiSvd() finds singular values of badly scaled columns to their own precision", async () => {
  const random = new Random(5);
  const [m, n] = [60, 24];
  const a = F64Array.fromF32(
    [m, n],
    gaussian([m, n], random).data.map((value, i) => value * 10 ** (-0.5 * (i % n))),
  );
  const { s } = await decompose(a);
  // Demmel & Veselić 1992: the relative error is about 2^-24·√m times the condition of the matrix with unit columns, some 10.
  oracle(a).s.forEach((expected, i) => {
    assert.ok(Math.abs(s[i]! - expected) <= 1e-5 * expected, `σ ${i}: expected ${expected}, got ${s[i]}`);
  });
});

test("jacobiSvd() stays orthonormal where squares of elements vanish", async () => {
  const [m, n] = [20, 18];
  const columns = gaussian([m, n], new Random(9)).map((value, i) => value * 10 ** (-2 * (i % n)));
  for (const a of [columns, transpose(columns)].map(({ shape, data }) => F64Array.fromF32(shape, data))) {
    for (const on of [gpu, gpuClass]) assertSvd(a, await decompose(a, on), oracle(a).s);
  }
});

test("jacobiSvd() gives the same bits under a power of two", async () => {
  const a = F64Array.fromF32([40, 23], gaussian([40, 23], new Random(3)).data);
  const [plain, large, small] = [
    await decompose(a),
    await decompose(a.map((x) => x * 2 ** 100)),
    await decompose(a.map((x) => x * 2 ** -100)),
  ];
  assert.deepEqual(large, { ...plain, s: plain.s.map((value) => value * 2 ** 100) });
  assert.deepEqual(small, { ...plain, s: plain.s.map((value) => value * 2 ** -100) });
});

test("jacobiSvd() decomposes a batch with the bits of its members alone", async () => {
  for (const on of [gpu, gpuClass]) {
    for (
      const [m, n] of [[37, 20], [20, 37], ...(on === gpuClass ? [[129, 128]] : [])] as [number, number][]
    ) {
      const members = matrixCases([m, n], 11).map(({ matrix }) => matrix).slice(0, m > 128 ? 2 : undefined);
      const data = new Float32Array(members.flatMap((each) => Array.from(each.data)));
      const batch = await jacobiSvd(tensor(on, data, { shape: [members.length, m, n] }));
      const k = Math.min(m, n);
      assert.deepEqual([batch.u.shape, batch.s.shape, batch.vt.shape], [[members.length, m, k], [
        members.length,
        k,
      ], [members.length, k, n]]);
      const [u, s, vt] = [await batch.u.floats(), await batch.s.floats(), await batch.vt.floats()];
      for (const [b, member] of members.entries()) {
        const alone = await decompose(member, on);
        assert.deepEqual(u.subarray(b * m * k, (b + 1) * m * k), alone.u.toF32());
        assert.deepEqual(s.subarray(b * k, (b + 1) * k), alone.s);
        assert.deepEqual(vt.subarray(b * k * n, (b + 1) * k * n), alone.vt.toF32());
      }
    }
  }
});

test("jacobiSvd() reports its sweeps and what cosine was left", async () => {
  const a = tensor(gpu, gaussian([50, 40], new Random(1)).toF32(), { shape: [50, 40] });
  const { sweeps, largestCosine } = await jacobiSvd(a);
  assert.ok(sweeps > 2 && sweeps <= 10, `${sweeps} sweeps`);
  assert.ok(
    largestCosine > 0 && largestCosine <= Math.sqrt(40) * 2 ** -23,
    `largest cosine ${largestCosine}`,
  );
  await assert.rejects(jacobiSvd(a, { maxSweeps: 2 }), (error: Error) => {
    assert.ok(error instanceof ConvergenceError);
    assert.match(
      error.message,
      /^Cannot decompose: after 2 sweeps the largest cosine is 0\.\d+, expected at most 7\.5\d+e-7$/,
    );
    return true;
  });
});

test("jacobiSvd() refuses what it can't decompose", async () => {
  const x = (data: number[], shape: number[]) => tensor(gpu, data, { shape });
  await assert.rejects(jacobiSvd(x([1, 2, NaN, 4, Infinity, 6], [2, 3])), {
    name: "NonFiniteError",
    message: "Cannot decompose a matrix with a non-finite element: the first of [2, 3] is at [0, 2]",
  });
  await assert.rejects(
    jacobiSvd(x([1, 2, 3, -Infinity], [2, 1, 2])),
    /the first of \[2, 1, 2\] is at \[1, 0, 1\]/,
  );
  await assert.rejects(jacobiSvd(x([3e38, 3e38, 3e38, 3e38], [2, 2])), NonFiniteError);
  await assert.rejects(jacobiSvd(x([1, 2], [2])), {
    name: "TypeError",
    message: "Cannot decompose a tensor of shape [2]: expected [m, n] or [N, m, n], none of them 0",
  });
  await assert.rejects(jacobiSvd(x([], [0, 3])), TypeError);
  await assert.rejects(jacobiSvd(tensor(gpu, Int32Array.of(1), { shape: [1, 1] })), TypeError);
  await assert.rejects(jacobiSvd(x([1], [1, 1]), { maxSweeps: 0 }), RangeError);
  await assert.rejects(jacobiSvd(x([1], [1, 1]), { tolerance: NaN }), RangeError);
});

test("jacobiSvd() frees what it used when it fails", async () => {
  const cases = [
    { data: [3e38, 3e38, 3e38, 3e38], error: NonFiniteError },
    { data: [1, NaN, 3, 4], error: NonFiniteError },
    { data: [1, 2, 3, 4], error: ConvergenceError },
  ];
  for (const { data, error } of cases) {
    const x = tensor(gpu, data, { shape: [2, 2] });
    const before = gpu.stats().liveBytes;
    await assert.rejects(jacobiSvd(x, { maxSweeps: 1 }), error);
    assert.equal(gpu.stats().liveBytes, before, `bytes alive after ${error.name} of ${data}`);
    x.dispose();
  }
});
