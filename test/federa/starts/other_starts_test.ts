import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { type Tensor, tensor } from "../../../src/engine/mod.ts";
import {
  attachAdapters,
  exportLora,
  federa,
  gaussian as gaussianStart,
  type Initialization,
  milora,
  olora,
  pissa,
  randomTriplets,
  scalingOf,
  type ScalingRule,
} from "../../../src/federa/mod.ts";
import { bitsOf, holds, run, testGpu, upload } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { linear, matmul } from "../../reference/matmul.ts";
import { householderQr } from "../../reference/qr.ts";
import { jacobiSvd } from "../../reference/svd.ts";
import { fractions, magnitudes } from "../../support/arbitraries.ts";
import { gammaN, maxAbsDifference, relativeError } from "../../support/compare.ts";
import { linearStack } from "../../support/linear_stack.ts";
import { gaussian, matrixWithSpectrum } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";

const gpu = await testGpu();

interface One {
  readonly rank: number;
  readonly scaling: number;
  readonly seed?: number;
  readonly name?: string;
}

async function startOf(weight: Tensor, initialization: Initialization, options: One) {
  const { rank, scaling, seed = 0, name = "x" } = options;
  const [found] = await initialization([weight], { rank, scaling, seed, names: [name] });
  return found!;
}

async function host(x: Tensor): Promise<F64Array> {
  return F64Array.from(x.shape, await x.floats());
}

async function rounded(x: Tensor): Promise<number[]> {
  return Array.from(await x.floats(), (value) => Math.round(value * 1e6) / 1e6 + 0);
}

test("milora() trains the smallest singular triplet of a 2×2 matrix, and freezes the largest", async () => {
  // [0 2; 6 0] = 6·e₂·e₁ᵀ + 2·e₁·e₂ᵀ. With s = 2: A₀ = √(2/2)·e₂ᵀ, B₀ = e₁.
  const weight = tensor(gpu, [0, 2, 6, 0], { shape: [2, 2] });
  const found = await startOf(weight, milora, { rank: 1, scaling: 2 });
  assert.deepEqual(await rounded(found.loraA), [0, 1]);
  assert.deepEqual(await rounded(found.loraB), [1, 0]);
  assert.deepEqual(await rounded(found.weight), [0, 0, 6, 0]);
});

test("olora() trains the first columns of Q and rows of R of a 3×2 matrix, whatever their size", async () => {
  // [0 1; 3 1; 4 2]: q₁ = [0 .6 .8], r₁ = [5 2.2]. With s = 2, W − 2·q₁·r₁ is frozen, not W − q₁·r₁.
  const weight = tensor(gpu, [0, 1, 3, 1, 4, 2], { shape: [3, 2] });
  const found = await startOf(weight, olora, { rank: 1, scaling: 2 });
  assert.deepEqual(await rounded(found.loraA), [5, 2.2]);
  assert.deepEqual(await rounded(found.loraB), [0, 0.6, 0.8]);
  assert.deepEqual(await rounded(found.weight), [0, 1, -3, -1.64, -4, -1.52]);
});

const matrices = fc.record({
  out: fc.constantFrom(1, 2, 3, 5, 8, 13, 17, 33),
  width: fc.constantFrom(1, 2, 3, 5, 8, 13, 17, 33),
  fraction: fractions(),
  scaling: magnitudes(0.01, 100),
  seed: fc.nat(),
}).map(({ out, width, fraction, ...rest }) => ({
  out,
  width,
  rank: Math.max(1, Math.round(fraction * Math.min(out, width))),
  ...rest,
}));

/** Singular values of the part that is trained, s·B₀·A₀, and of what is frozen. */
async function partsOf(weight: F64Array, initialization: Initialization, options: One) {
  const found = await startOf(upload(gpu, weight), initialization, options);
  const product = matmul(await host(found.loraB), await host(found.loraA));
  const trained = F64Array.from(product.shape, product.data.map((value) => value * options.scaling));
  const sum = (await host(found.weight)).data.map((value, i) => value + trained.data[i]!);
  return {
    trained: jacobiSvd(trained).s,
    frozen: jacobiSvd(await host(found.weight)).s,
    // W_res rounds once, and the products of r terms are formed in f32 on the device: (r + 3)·u of |W| + s·|B₀|·|A₀|.
    lost: maxAbsDifference(sum, weight.data),
    found,
  };
}

function normOf({ data }: F64Array): number {
  return Math.hypot(...data);
}

// A singular value is found within 1e-5·σ₁, as federa_test.ts asks of the SVD.
test("milora() trains the r smallest singular values and freezes the others", async () => {
  await holds(matrices, async ({ out, width, rank, scaling, seed }) => {
    const weight = F64Array.fromF32([out, width], gaussian([out, width], new Random(seed)).data);
    const { s } = jacobiSvd(weight);
    const { trained, frozen, lost } = await partsOf(weight, milora, { rank, scaling });
    const [count, tolerance] = [s.length, 1e-5 * s[0]!];
    assert.ok(
      maxAbsDifference(trained.slice(0, rank), s.slice(count - rank)) <= tolerance,
      `${trained} ${s}`,
    );
    assert.ok(maxAbsDifference(frozen.slice(0, count - rank), s.slice(0, count - rank)) <= tolerance);
    assert.ok(frozen.slice(count - rank).every((value) => value <= tolerance));
    assert.ok(lost <= 2 * gammaN(rank + 3) * normOf(weight) * Math.sqrt(rank), `${lost}`);
  }, 25);
});

test("randomTriplets() trains r triplets of the weight, ascending places drawn by seed and layer", async () => {
  const spectrum = [9, 7, 6, 5, 4, 3, 2, 1];
  const weight = F64Array.fromF32([9, 8], matrixWithSpectrum([9, 8], spectrum, new Random(3)).data);
  const drawn = async (seed: number, name = "x") => {
    const { trained, frozen, lost } = await partsOf(weight, randomTriplets, {
      rank: 3,
      scaling: 0.5,
      seed,
      name,
    });
    const values = [...trained.slice(0, 3)].map((value) => Math.round(value));
    // The rest is frozen, and together they are the weight.
    const rest = [...frozen.slice(0, 5)].map((value) => Math.round(value));
    assert.deepEqual([...values, ...rest].sort((a, b) => b - a), spectrum);
    assert.ok(maxAbsDifference(trained.slice(0, 3), values) <= 1e-5 * 9);
    assert.ok(lost <= 2 * gammaN(6) * normOf(weight) * Math.sqrt(3));
    return values.join();
  };
  const all = new Set<string>();
  for (let seed = 0; seed < 12; seed++) all.add(await drawn(seed));
  // Twelve draws of 56 sets are all alike with probability 56⁻¹¹; each place is drawn by one of them but with (5/8)¹² = 0.4 %.
  assert.ok(all.size >= 6, [...all].join(" "));
  assert.equal(new Set([...all].join().split(",")).size, 8);
  assert.equal(await drawn(1), await drawn(1));
  assert.notEqual(await drawn(1, "y"), await drawn(1, "x"));
});

// Q and R are found to a few n·u of ‖W‖, 33·6e-8 = 2e-6; B·A is the product of their first columns and rows.
test("olora() trains Q_r·R_r of a float64 QR", async () => {
  await holds(matrices, async ({ out, width, rank, scaling, seed }) => {
    const weight = F64Array.fromF32([out, width], gaussian([out, width], new Random(seed)).data);
    const { q, r } = householderQr(weight);
    const { found, lost } = await partsOf(weight, olora, { rank, scaling });
    const columns = F64Array.from(
      [out, rank],
      Array.from({ length: out * rank }, (_, i) => q.data[Math.floor(i / rank) * q.shape[1]! + i % rank]!),
    );
    const rows = F64Array.from([rank, width], r.data.slice(0, rank * width));
    const product = matmul(await host(found.loraB), await host(found.loraA));
    const tolerance = 2e-5 * normOf(weight);
    assert.ok(maxAbsDifference(product.data, matmul(columns, rows).data) <= tolerance);
    // With s ≠ 1 the frozen weight is larger than W by s.
    assert.ok(lost <= 2 * gammaN(rank + 3) * normOf(weight) * Math.sqrt(rank) * (1 + scaling), `${lost}`);
  }, 25);
});

test("gaussian() draws A with the standard deviation 1/r, and leaves B zero and the weight alone", async () => {
  const weight = tensor(gpu, new Float32Array(11 * 100), { shape: [11, 100] });
  const found = await startOf(weight, gaussianStart, { rank: 50, scaling: 1, seed: 4 });
  const a = await found.loraA.floats();
  const [n, sigma] = [a.length, 1 / 50];
  const mean = a.reduce((sum, value) => sum + value, 0) / n;
  const variance = a.reduce((sum, value) => sum + value ** 2, 0) / n;
  // Five standard errors of the mean, σ/√n, and of the variance, σ²·√(2/n).
  assert.ok(Math.abs(mean) <= 5 * sigma / Math.sqrt(n), `${mean}`);
  assert.ok(Math.abs(variance - sigma ** 2) <= 5 * sigma ** 2 * Math.sqrt(2 / n), `${variance}`);
  assert.ok((await found.loraB.floats()).every((value) => value === 0));
  assert.ok(found.weight === weight);
});

interface Golden {
  readonly start: "pissa" | "olora";
  readonly rank: number;
  readonly alpha: number;
  readonly scaling: ScalingRule;
  readonly weight: { readonly shape: number[]; readonly data: number[] };
  readonly loraA: { readonly data: number[] };
  readonly loraB: { readonly data: number[] };
  readonly frozen: { readonly data: number[] };
}

// Both sides decompose in f32: each entry of a factor is within some 1e-5 of its largest, as singular values are 5 % apart or more here.
test("pissa() and olora() start as PEFT does, but for the signs of triplets", async () => {
  const path = new URL("../../golden/peft_layers/layers.json", import.meta.url);
  const { starts } = JSON.parse(readFileSync(path, "utf8")) as { readonly starts: readonly Golden[] };
  assert.equal(starts.length, 6);
  for (const { start, rank, weight, ...golden } of starts) {
    const found = await startOf(
      tensor(gpu, weight.data, { shape: weight.shape }),
      start === "pissa" ? pissa : olora,
      { rank, scaling: scalingOf({ rank, ...golden }) },
    );
    const [a, b] = [await found.loraA.floats(), await found.loraB.floats()];
    const width = weight.shape[1]!;
    for (let k = 0; k < rank; k++) {
      const [row, theirs] = [
        a.subarray(k * width, (k + 1) * width),
        golden.loraA.data.slice(k * width, (k + 1) * width),
      ];
      const sign = Math.sign(row.reduce((sum, value, i) => sum + value * theirs[i]!, 0));
      const column = (x: ArrayLike<number>) =>
        Array.from({ length: x.length / rank }, (_, i) => x[i * rank + k]! * sign);
      assert.ok(relativeError(row.map((value) => value * sign), theirs) <= 1e-5, start);
      assert.ok(relativeError(column(b), golden.loraB.data.filter((_, i) => i % rank === k)) <= 1e-5, start);
    }
    assert.ok(relativeError(await found.weight.floats(), golden.frozen.data) <= 1e-5, start);
  }
});

const starts = { milora, randomTriplets, olora, pissa, gaussian: gaussianStart };

// As for federa(): in norm, rounding stays below 1e-5 of the outputs, times what OLoRA's scaling makes of the frozen weight.
test("Every start leaves the output at step 0 as it was, and its export is the same LoRA", async () => {
  for (const [name, initialization] of Object.entries(starts)) {
    const pretrained = linearStack(gpu, [7, 5, 11, 3], 5);
    const model = await attachAdapters(pretrained, {
      targets: ["layers.*"],
      rank: 3,
      alpha: 4,
      scaling: "rslora",
      initialization,
      seed: 2,
    });
    const input = F64Array.fromF32([8, 7], gaussian([8, 7], new Random(6)).data);
    const x = upload(gpu, input);
    const expected = await run(gpu, () => pretrained.forward(x));
    assert.ok(relativeError(await run(gpu, () => model.forward(x)), expected) <= 2e-5, name);
    const { tensors, layers } = await exportLora(model, { pretrained });
    const rank = name === "gaussian" ? 3 : 6;
    // s = 4/√3 whatever the rank that is exported.
    const { alpha } = layers.get("layers.0")!;
    assert.equal(layers.get("layers.0")!.rank, rank);
    assert.ok(Math.abs(alpha / rank - 4 / Math.sqrt(3)) <= 1e-12, name);
    const [a, b] = ["lora_A", "lora_B"].map((part) => {
      const { shape, data } = tensors.get(`layers.0.${part}.weight`)!;
      return F64Array.from(shape, data as Float32Array);
    }) as [F64Array, F64Array];
    const update = linear(linear(input, a), b).data;
    // Nothing has been learnt, so that what is exported changes nothing.
    assert.ok(
      Math.hypot(...update) <=
        2e-6 *
          Math.hypot(
            ...linear(
              input,
              F64Array.from(
                [5, 7],
                await (pretrained.layers[0] as unknown as { weight: Tensor }).weight.floats(),
              ),
            ).data,
          ),
      name,
    );
  }
});

test("A start gives a weight the same bits whichever weights are beside it", async () => {
  const weights = [1, 2, 3].map((seed) =>
    upload(gpu, F64Array.fromF32([6, 5], gaussian([6, 5], new Random(seed)).data))
  );
  for (const initialization of [...Object.values(starts), federa()]) {
    const together = await initialization(weights, { rank: 2, scaling: 1, seed: 7, names: ["a", "b", "c"] });
    const alone = await startOf(weights[1]!, initialization, { rank: 2, scaling: 1, seed: 7, name: "b" });
    for (const part of ["loraA", "loraB", "weight"] as const) {
      assert.deepEqual(bitsOf(await together[1]![part].floats()), bitsOf(await alone[part].floats()));
    }
  }
});
