import assert from "node:assert/strict";
import { test } from "node:test";
import { inspectTensors } from "../../../src/federa/mod.ts";
import type { StoredTensor } from "../../../src/models/mod.ts";
import { testGpu } from "../../engine/harness.ts";

const gpu = await testGpu();

function sourceOf(tensors: Record<string, StoredTensor>) {
  const entries = new Map(Object.entries(tensors));
  return { entries, read: (name: string) => Promise.resolve(tensors[name]!) };
}

function f32(shape: readonly number[], ...data: number[]): StoredTensor {
  return { dtype: "F32", shape, data: Float32Array.from(data) };
}

test("inspectTensors() tells dtype, shape, norm and spectrum of each tensor, without leaving memory behind", async () => {
  const progress: number[] = [];
  const before = gpu.stats().liveBytes;
  const { tensors, products } = await inspectTensors(
    gpu,
    sourceOf({
      matrix: f32([2, 2], 3, 0, 0, -4),
      vector: f32([2], 3, 4),
      half: { dtype: "F16", shape: [1, 2], data: Uint16Array.of(0x3c00, 0xc000) },
      ids: { dtype: "I64", shape: [1, 2], data: BigInt64Array.of(-3n, 4n) },
      broken: f32([1, 2], NaN, 5),
      zero: f32([2, 1], 0, 0),
      empty: f32([0, 2]),
    }),
    { onProgress: (done, total) => progress.push(done / total) },
  );
  assert.equal(gpu.stats().liveBytes, before);
  assert.deepEqual(products, []);
  assert.deepEqual(progress.at(-1), 1);
  assert.deepEqual(
    tensors.map(({ name, dtype, shape, norm, nonFinite, spectrum, withoutSpectrum }) => [
      name,
      dtype,
      shape.join("×"),
      norm,
      nonFinite,
      spectrum && Array.from(spectrum.values, (value) => Number(value.toPrecision(6))),
      withoutSpectrum,
    ]),
    [
      ["matrix", "F32", "2×2", 5, 0, [4, 3], undefined],
      ["vector", "F32", "2", 5, 0, undefined, undefined],
      ["half", "F16", "1×2", Math.sqrt(5), 0, [2.23607], undefined],
      ["ids", "I64", "1×2", 5, 0, undefined, "it holds I64"],
      ["broken", "F32", "1×2", 5, 1, undefined, "1 of its elements are NaN or infinite"],
      ["zero", "F32", "2×1", 0, 0, undefined, "it is zero"],
      ["empty", "F32", "0×2", 0, 0, undefined, "it is empty"],
    ],
  );
});

// B·A = [1; 1]·[3, 4] has the singular value √2·5; with B₀·A₀ = [1; 1]·[3, 0] taken off it is √2·4.
test("inspectTensors() shows low-rank factors as the product they stand for, whoever named them", async () => {
  const [a, b] = [f32([1, 2], 3, 4), f32([2, 1], 1, 1)];
  const { tensors, products } = await inspectTensors(
    gpu,
    sourceOf({
      "x.loraA": a,
      "x.loraB": b,
      "x.initialA": f32([1, 2], 3, 0),
      "x.initialB": b,
      "y.lora_A.weight": a,
      "y.lora_B.weight": b,
      "y.lora_magnitude_vector": f32([2], 1, 1),
      "z.lora_A.default.weight": a,
      "z.lora_B.default.weight": b,
      "alone.lora_A.weight": a,
      "misfit.loraA": a,
      "misfit.loraB": f32([2, 3], 1, 1, 1, 1, 1, 1),
      "broken.loraA": f32([1, 1], Infinity),
      "broken.loraB": f32([1, 1], 1),
    }),
  );
  const rounded = products.map(({ name, formula, shape, norm, spectrum: { values } }) =>
    [name, formula, shape.join(), (norm ** 2).toFixed(3), (values[0]! ** 2).toFixed(3)].join(" ")
  );
  assert.deepEqual(rounded, [
    "x B·A − B₀·A₀ 2,2 32.000 32.000",
    "y V: B·A 2,2 50.000 50.000",
    "z B·A 2,2 50.000 50.000",
  ]);
  const withSpectrum = tensors.filter(({ spectrum }) => spectrum).map(({ name }) => name);
  assert.deepEqual(withSpectrum, ["alone.lora_A.weight", "misfit.loraA", "misfit.loraB"]);
});

test("inspectTensors() without spectra reads each tensor once", async () => {
  const source = sourceOf({ "x.loraA": f32([1, 1], 1), "x.loraB": f32([1, 1], 1), w: f32([1, 1], 2) });
  const read: string[] = [];
  const { tensors, products } = await inspectTensors(gpu, {
    ...source,
    read: (name) => (read.push(name), source.read(name)),
  }, { spectra: false });
  assert.deepEqual(read, ["x.loraA", "x.loraB", "w"]);
  assert.deepEqual([products.length, tensors.map(({ norm }) => norm)], [0, [1, 1, 2]]);
});
