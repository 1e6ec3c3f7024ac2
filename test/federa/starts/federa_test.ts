import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { disposeAll, NonFiniteError, type Tensor, tensor } from "../../../src/engine/mod.ts";
import {
  adaptersOf,
  attachAdapters,
  federa,
  type FederaOptions,
  type InitializationOptions,
  type InitializedFactors,
  merge,
} from "../../../src/federa/mod.ts";
import { holds, run, testGpu, upload } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { matmul } from "../../reference/matmul.ts";
import { jacobiSvd } from "../../reference/svd.ts";
import { fractions, magnitudes } from "../../support/arbitraries.ts";
import { gammaN, relativeError } from "../../support/compare.ts";
import { linearStack } from "../../support/linear_stack.ts";
import { gaussian, matrixWithSpectrum } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";

const gpu = await testGpu();
const svds = fc.constantFrom("exact" as const, "randomized" as const);
const alphas = fc.oneof(magnitudes(0.01, 100), fc.constantFrom(1e-12, 1, 16, 1e12));

/** 1 to 3 layers of any widths, a rank that fits them all. */
const models = fc.record({
  widths: fc.array(fc.constantFrom(1, 2, 3, 5, 7, 8, 13, 16, 17, 31, 33), { minLength: 2, maxLength: 4 }),
  fraction: fractions(),
  alpha: alphas,
  svd: svds,
  seed: fc.nat(),
}).map(({ widths, fraction, ...rest }) => ({
  widths,
  rank: Math.max(1, Math.round(fraction * Math.min(...widths))),
  ...rest,
}));

/** The factors of one weight. */
async function initialize(
  weight: Tensor,
  { svd, ...options }: FederaOptions & Omit<InitializationOptions, "names">,
): Promise<InitializedFactors> {
  const [factors] = await federa(svd === undefined ? {} : { svd })([weight], { ...options, names: ["x"] });
  return factors!;
}

async function host(x: Tensor): Promise<F64Array> {
  return F64Array.from(x.shape, await x.floats());
}

/** ‖x‖_F. */
function norm({ data }: F64Array): number {
  return Math.hypot(...data);
}

test("federa() may put the singular values into B alone, so that the rows of A are orthonormal", async () => {
  // [0 2; 6 0] has the triplet 6 = e₂·e₁ᵀ, here of s = 3: A₀ = e₁ᵀ, B₀ = e₂·6/3, and [0 2; 0 0] is left.
  const weight = tensor(gpu, [0, 2, 6, 0], { shape: [2, 2] });
  const initialization = federa({ svd: "exact", split: "left" });
  const [found] = await initialization([weight], { rank: 1, scaling: 3, seed: 1, names: ["x"] });
  const values = async (x: Tensor) => Array.from(await x.floats(), (value) => value + 0);
  assert.deepEqual(await values(found!.loraA), [1, 0]);
  assert.deepEqual(await values(found!.loraB), [0, 2]);
  assert.deepEqual(await values(found!.weight), [0, 2, 0, 0]);
});

// In norm, the f32 error of a layer is about √(in + r)·u of |W|·|x| + s·|B|·|A|·|x|, which random matrices of these widths
// keep within some 20 times |y|: below 20·√66·6e-8 = 1e-5. Eight rows of outputs don't all vanish by cancellation.
test("federa() leaves the output at step 0 as it was, and merge() the output of the adapted model", async () => {
  await holds(models, async ({ widths, rank, alpha, svd, seed }) => {
    const model = linearStack(gpu, widths, seed);
    const x = upload(
      gpu,
      F64Array.fromF32([8, widths[0]!], gaussian([8, widths[0]!], new Random(seed + 1)).data),
    );
    const adapted = await attachAdapters(model, {
      targets: ["**"],
      rank,
      alpha,
      initialization: federa({ svd }),
      seed,
    });
    assert.equal(adaptersOf(adapted).size, widths.length - 1);
    const expected = await run(gpu, () => model.forward(x));
    const output = await run(gpu, () => adapted.forward(x));
    assert.ok(relativeError(output, expected) <= 1e-5, `step 0: ${relativeError(output, expected)}`);
    const merged = merge(adapted);
    const again = await run(gpu, () => merged.forward(x));
    assert.ok(relativeError(again, output) <= 1e-5, `merged: ${relativeError(again, output)}`);
  }, 40);
});

const matrices = fc.record({
  out: fc.constantFrom(1, 2, 3, 5, 8, 13, 17, 24, 33),
  width: fc.constantFrom(1, 2, 3, 5, 8, 13, 17, 24, 33),
  fraction: fractions(),
  alpha: alphas,
  svd: svds,
  seed: fc.nat(),
}).map(({ out, width, fraction, ...rest }) => {
  const size = Math.min(out, width);
  // A randomized sketch of rank + 8 rows or more spans all of a matrix no larger, so both must find the exact SVD.
  const least = rest.svd === "randomized" ? Math.max(1, size - 8) : 1;
  return { out, width, rank: Math.max(least, Math.round(fraction * size)), ...rest };
});

test("federa() freezes what the leading r components leave: ‖W_res‖₂ = σ_{r+1}, and trains them: s·‖B₀·A₀‖₂ = σ₁", async () => {
  await holds(matrices, async ({ out, width, rank, alpha, svd, seed }) => {
    const w = F64Array.fromF32([out, width], gaussian([out, width], new Random(seed)).data);
    const scaling = alpha / rank;
    const { weight, loraA, loraB } = await initialize(upload(gpu, w), { svd, rank, scaling, seed });
    const { s } = jacobiSvd(w);
    // The SVD is asked to be within 1e-5·σ₁; the product and the subtraction round (r + 3) times each part of |B₀|·|A₀| and |W|.
    const tolerance = 1e-5 * s[0]! + 2 * gammaN(rank + 3) * norm(w) * Math.sqrt(rank);
    const residual = jacobiSvd(await host(weight)).s[0]!;
    assert.ok(
      Math.abs(residual - (s[rank] ?? 0)) <= tolerance,
      `‖W_res‖₂ = ${residual}, σ_{r+1} = ${s[rank] ?? 0}`,
    );
    const [b, a] = [await host(loraB), await host(loraA)];
    const product = jacobiSvd(matmul(b, a).map((value) => value * scaling)).s;
    for (let j = 0; j < rank; j++) {
      assert.ok(Math.abs(product[j]! - s[j]!) <= tolerance, `σ_${j} = ${s[j]} is trained as ${product[j]}`);
    }
  }, 40);
});

test("federa() starts from B₀ = U_r·√(S_r/s) and A₀ = √(S_r/s)·V_rᵀ, up to one sign for each component", async () => {
  await holds(matrices, async ({ out, width, rank, alpha, svd, seed }) => {
    const size = Math.min(out, width);
    // Evenly spaced singular values: each vector is determined to (error of W)/(1/size).
    const spectrum = Array.from({ length: size }, (_, j) => (size - j) / size);
    const w = matrixWithSpectrum([out, width], spectrum, new Random(seed));
    const scaling = alpha / rank;
    const { loraA, loraB, initial } = await initialize(upload(gpu, w), { svd, rank, scaling, seed });
    const [b, a] = [await host(loraB), await host(loraA)];
    assert.deepEqual(await host(initial!.loraB), b);
    assert.deepEqual(await host(initial!.loraA), a);
    assert.ok(initial!.loraA !== loraA && initial!.loraB !== loraB);
    const { u, s, v } = jacobiSvd(w);
    for (let j = 0; j < rank; j++) {
      const root = Math.sqrt(s[j]! / scaling);
      const column = Array.from({ length: out }, (_, i) => b.data[i * rank + j]!);
      const row = Array.from(a.data.subarray(j * width, (j + 1) * width));
      const [left, right] = [
        Array.from({ length: out }, (_, i) => root * u.data[i * size + j]!),
        Array.from({ length: width }, (_, i) => root * v.data[i * size + j]!),
      ];
      const sign = Math.sign(column.reduce((total, value, i) => total + value * left[i]!, 0));
      // Wedin: a decomposition exact for W + E turns a vector by at most 2·‖E‖₂ over the gap; ‖E‖₂ <= 1e-5·σ₁, and √σ moves
      // by half the relative error of σ.
      const tolerance = 1e-5 * s[0]! * (2 * size + 0.5 / s[j]!);
      for (const [found, wanted] of [[column, left], [row, right]] as const) {
        const error = relativeError(found.map((value) => sign * value), wanted);
        assert.ok(error <= tolerance, `component ${j}: error ${error}, tolerance ${tolerance}`);
      }
    }
  }, 40);
});

test("federa() gives the same bits for the same seed, with either decomposition", async () => {
  const w = upload(gpu, F64Array.fromF32([19, 23], gaussian([19, 23], new Random(1)).data));
  for (const svd of ["exact", "randomized"] as const) {
    const draw = async (seed: number) => {
      const { weight, loraA, loraB } = await initialize(w, { svd, rank: 3, scaling: 2, seed });
      return [await weight.floats(), await loraA.floats(), await loraB.floats()];
    };
    assert.deepEqual(await draw(1), await draw(1));
  }
});

test("federa() gives a layer the bits it gets alone, whichever others are adapted", async () => {
  const model = linearStack(gpu, [24, 24, 24, 20, 24, 24], 7);
  for (const svd of ["exact", "randomized"] as const) {
    const options = { rank: 3, alpha: 6, initialization: federa({ svd }), seed: 5 };
    const seen: number[][] = [];
    const onProgress = (done: number, total: number) => seen.push([done, total]);
    const all = adaptersOf(await attachAdapters(model, { ...options, targets: ["**"], onProgress }));
    assert.deepEqual(seen, [[3, 5], [4, 5], [5, 5]], "shapes [24, 24], [20, 24], [24, 20]");
    for (const [name, { weight, loraA, loraB, initial }] of all) {
      const alone = adaptersOf(await attachAdapters(model, { ...options, targets: [name] })).get(name)!;
      const pairs = [[weight, alone.weight], [loraA, alone.loraA], [loraB, alone.loraB]] as const;
      for (const [found, expected] of pairs) assert.deepEqual(await host(found), await host(expected), name);
      assert.deepEqual(await host(initial!.loraA), await host(alone.loraA));
    }
  }
});

test("federa() takes a zero weight apart into zeros", async () => {
  const zero = tensor(gpu, new Float32Array(12), { shape: [3, 4] });
  for (const svd of ["exact", "randomized"] as const) {
    const { weight, loraA, loraB } = await initialize(zero, { svd, rank: 2, scaling: 1, seed: 0 });
    for (const part of [weight, loraA, loraB]) assert.ok((await part.floats()).every((value) => value === 0));
  }
});

test("federa() refuses a weight that isn't finite and leaks nothing", async () => {
  const broken = tensor(gpu, [1, NaN, 3, 4], { shape: [2, 2] });
  const before = gpu.stats().liveBytes;
  for (const svd of ["exact", "randomized"] as const) {
    await assert.rejects(
      initialize(broken, { svd, rank: 1, scaling: 1, seed: 0 }),
      (error: Error) => {
        assert.ok(error instanceof NonFiniteError);
        assert.match(
          error.message,
          /^Cannot initialise one of x: .* the first of \[1, 2, 2\] is at \[0, 0, 1\]$/,
        );
        return true;
      },
    );
  }
  assert.equal(gpu.stats().liveBytes, before);
});

test("federa() decomposes as many weights at once as its memory allows, and says how far it is", async () => {
  // 8 MiB each: two at once exactly; a sketch of (r + 16)·2²¹ floats is one weight's.
  const length = 2 ** 21;
  const row = Float32Array.from({ length }, (_, i) => i % 7 === 0 ? 2 : 0);
  const weights = [1, 2, 3].map((scale) =>
    tensor(gpu, row.map((value) => value * scale), { shape: [1, length] })
  );
  for (const [svd, expected] of [["exact", [2, 3]], ["randomized", [1, 2, 3]]] as const) {
    const seen: number[] = [];
    const onProgress = (done: number) => void seen.push(done);
    const found = await federa({ svd })(weights, {
      rank: 1,
      scaling: 1,
      seed: 0,
      names: ["x", "y", "z"],
      onProgress,
    });
    assert.deepEqual(seen, expected);
    for (const [i, { weight, loraA, loraB, initial }] of found.entries()) {
      // One row: B₀·A₀ is all of it but for the rounding of its length, a chain of 2²¹ / 4 sums here.
      const [left, [b], a] = [await weight.floats(), await loraB.floats(), await loraA.floats()];
      const furthest = row.reduce(
        (most, value, t) => Math.max(most, Math.abs(left[t]! + b! * a[t]! - value * (i + 1))),
        0,
      );
      assert.ok(furthest <= 2 ** -22 * 2 * (i + 1), `${furthest} of ${2 * (i + 1)} is lost`);
      assert.ok(Math.max(...left.subarray(0, 64)) <= 1e-3 * (i + 1), `${left.subarray(0, 64)} is left`);
      disposeAll([weight, loraA, loraB, initial!.loraA, initial!.loraB]);
    }
  }
  disposeAll(weights);
});

test("attachAdapters() by federa() keeps the residual, the factors and their start, and nothing else", async () => {
  const model = linearStack(gpu, [64, 64, 64], 1);
  const before = gpu.stats().liveBytes;
  const adapted = await attachAdapters(model, {
    targets: ["**"],
    rank: 4,
    alpha: 4,
    initialization: federa({ svd: "exact" }),
  });
  // 64·64 and four times 64·4 elements are powers of two of bytes, so the pool adds no rounding.
  assert.equal(gpu.stats().liveBytes - before, adaptersOf(adapted).size * 4 * (64 * 64 + 4 * 64 * 4));
});
