import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { backward, type Gpu, mul, openGpu, sum, type Tensor, tensor, tidy } from "../../../src/engine/mod.ts";
import { type LoadedUseLite, loadUseLite, type TokenTensors } from "../../../src/models/mod.ts";
import { fetchOrSkip } from "../../hub/fetch_or_skip.ts";
import { encodeReference } from "../../reference/use_lite.ts";
import { Random } from "../../support/random.ts";

let gpu: Gpu;
let loaded: LoadedUseLite | undefined;
before(async () => {
  gpu = await openGpu();
});
after(() => gpu.close());

async function load(t: TestContext): Promise<LoadedUseLite | undefined> {
  return loaded ??= await fetchOrSkip(t, () => loadUseLite(gpu));
}

function upload({ tokenizer }: LoadedUseLite, texts: readonly string[], padTo?: number): TokenTensors {
  const { inputIds, attentionMask, batchSize, length } = tokenizer.encodeBatch(
    texts,
    padTo === undefined ? {} : { padTo },
  );
  const shape = [batchSize, length];
  return {
    inputIds: tensor(gpu, Uint32Array.from(inputIds), { shape }),
    attentionMask: tensor(gpu, attentionMask, { shape }),
  };
}

test("UseLite gives the package's own sentence vectors to 1e-5", async (t) => {
  const model = await load(t);
  if (!model) return;
  const golden: { text: string; vectorBase64: string }[] = JSON.parse(
    await readFile(join(import.meta.dirname, "../../golden/use_lite/sentences.json"), "utf8"),
  );
  assert(golden.length >= 20);
  assert(golden.some(({ text }) => text === ""));
  const tokens = upload(model, golden.map(({ text }) => text));
  const vectors = await tidy(() => model.encoder.sentenceVectors(tokens)).floats();
  golden.forEach(({ text, vectorBase64 }, i) => {
    const expected = new Float32Array(Uint8Array.from(Buffer.from(vectorBase64, "base64")).buffer);
    expected.forEach((value, k) => {
      const error = Math.abs(vectors[i * 512 + k]! - value);
      assert(error <= 1e-5, `${JSON.stringify(text.slice(0, 40))}: component ${k} differs by ${error}`);
    });
  });
});

test("UseLite knows that two questions of age mean the same", async (t) => {
  const model = await load(t);
  if (!model) return;
  const texts = ["How old are you?", "What is your age?", "The parcel arrived on Monday."];
  const vectors = await tidy(() => model.encoder.sentenceVectors(upload(model, texts))).floats();
  const cosine = (i: number, j: number) =>
    vectors.subarray(i * 512, (i + 1) * 512).reduce(
      (total, value, k) => total + value * vectors[j * 512 + k]!,
      0,
    );
  // 0.846 is the package's own figure.
  assert(Math.abs(cosine(0, 1) - 0.846) < 1e-3, `got ${cosine(0, 1)}`);
  assert(cosine(0, 2) < 0.2);
});

test("UseLite gives the same bits whatever the padding and whoever is in the batch", async (t) => {
  const model = await load(t);
  if (!model) return;
  const text = "Bits must not depend on padding.";
  const vectorOf = async (tokens: TokenTensors) =>
    (await tidy(() => model.encoder.sentenceVectors(tokens)).floats()).slice(0, 512);
  const alone = await vectorOf(upload(model, [text]));
  assert.deepEqual(await vectorOf(upload(model, [text], 61)), alone);
  assert.deepEqual(
    await vectorOf(upload(model, [text, "another", "and a third, which is quite a bit longer than it"])),
    alone,
  );
});

test("UseLite's gradients equal directional derivatives of the float64 oracle", async (t) => {
  const model = await load(t);
  if (!model) return;
  const { encoder, tokenizer } = model;
  const text = "Gradients flow to every layer.";
  const inputIds = tokenizer.encode(text);
  const random = new Random(7);
  const outputWeights = Float64Array.from({ length: 512 }, () => random.normal());
  const host = new Map<string, { shape: readonly number[]; data: Float64Array }>();
  for (const [name, value] of encoder.namedParameters()) {
    host.set(name, { shape: value.shape, data: Float64Array.from(await value.floats()) });
  }
  const table = await encoder.timing.table.floats();
  // sin and cos at position 1 give the frequencies back.
  host.set("timing.inverseFrequencies", {
    shape: [128],
    data: Float64Array.from({ length: 128 }, (_, i) => Math.atan2(table[256 + i]!, table[256 + 128 + i]!)),
  });
  const oracle = (name: string, data: Float64Array) => {
    const parameters = new Map(host).set(name, { shape: host.get(name)!.shape, data });
    return encodeReference(parameters, inputIds).vector.reduce(
      (total, value, i) => total + value * outputWeights[i]!,
      0,
    );
  };
  const names = [
    "embedding.weight",
    "layers.0.attention.qkv.weight",
    "layers.0.attentionNorm.weight",
    "layers.0.residual.bias",
    "layers.1.attention.output.weight",
    "layers.1.feedForward.inner.weight",
    "layers.1.feedForwardNorm.bias",
    "pooler.weight",
  ];
  const trained = new Map<string, Tensor>();
  const bound = encoder.mapParameters((name, parameter) => {
    if (!names.includes(name)) return parameter;
    const leaf = parameter.detach().requireGrad();
    trained.set(name, leaf);
    return leaf;
  });
  const weights = tensor(gpu, Float32Array.from(outputWeights), { shape: [1, 512] });
  const leaves = names.map((name) => trained.get(name)!);
  const gradients = tidy(() =>
    backward(sum(mul(bound.sentenceVectors(upload(model, [text])), weights)), leaves)
  );
  for (const [i, name] of names.entries()) {
    const { data } = host.get(name)!;
    const direction = data.map(() => random.normal());
    const gradient = await gradients[i]!.floats();
    const analytic = gradient.reduce((total, value, k) => total + value * direction[k]!, 0);
    // Central differences: the error of the rule is of order step², that of rounding 1e-15/step; both are below 1e-7.
    const step = 1e-5;
    const shifted = (sign: number) =>
      oracle(name, data.map((value, k) => value + sign * step * direction[k]!));
    const numeric = (shifted(1) - shifted(-1)) / (2 * step);
    const scale = Math.hypot(...gradient.subarray(0, 100_000)) + Math.abs(numeric);
    // Every gradient is a sum of products of f32 intermediates, each right to a few 1e-7 of their norm.
    assert(Math.abs(analytic - numeric) <= 1e-4 * scale, `${name}: ${analytic} against ${numeric}`);
  }
});
