import assert from "node:assert/strict";
import { test } from "node:test";
import type { Precision } from "../../src/engine/mod.ts";
import {
  adaptersOf,
  attachAdapters,
  decodeAdapter,
  encodeAdapter,
  exportLora,
  federa,
  lora,
  roundingErrors,
} from "../../src/federa/mod.ts";
import { bertFamily, loadEncoder } from "../../src/models/mod.ts";
import { bitsOf, run, testGpu } from "../engine/harness.ts";
import { F64Array } from "../reference/array.ts";
import { int8Values } from "../reference/int8.ts";
import { drawBertParameters, tinyBertConfig } from "../support/bert.ts";
import { assertClose } from "../support/compare.ts";
import { memoryWeights, stored } from "../support/memory_weights.ts";

const gpu = await testGpu();
const config = tinyBertConfig({ hiddenSize: 24, intermediateSize: 50 });
const parameters = new Map(drawBertParameters(config, { seed: 4 }));
// Two directions stand out of each query's weight, as of pretrained ones, so that what is left of it is much smaller.
for (const layer of [0, 1]) {
  const name = `encoder.layer.${layer}.attention.self.query.weight`;
  const { shape, data } = parameters.get(name)!;
  const spike = (i: number, j: number) =>
    3 * Math.cos(i + layer) * Math.sin(j) + 2 * Math.sin(2 * i) * Math.cos(3 * j);
  parameters.set(name, {
    shape,
    data: data.map((value, at) => value / 4 + spike(Math.floor(at / 24), at % 24)),
  });
}

async function load(precision: Precision) {
  const open = () => Promise.resolve(memoryWeights(stored(parameters)));
  return (await loadEncoder(gpu, await open(), { family: bertFamily, config, precision, reopen: open }))
    .encoder;
}

const [whole, rounded] = [await load("f32"), await load("int8")];
const attach = (model: typeof whole, initialization = federa()) =>
  attachAdapters(model, { targets: ["**.self.query", "**.output.dense"], rank: 2, alpha: 3, initialization });

const values = async (tensor: { floats(): Promise<Float32Array>; readonly shape: readonly number[] }) =>
  F64Array.fromF32(tensor.shape, await tensor.floats());

/** B·A by the schoolbook. */
function product(b: F64Array, a: F64Array): F64Array {
  const [[n = 0, r = 0], [, k = 0]] = [b.shape, a.shape];
  return F64Array.full([n, k]).map((_, at) => {
    let total = 0;
    for (let q = 0; q < r; q++) total += b.data[Math.floor(at / k) * r + q]! * a.data[q * k + at % k]!;
    return total;
  });
}

test("federa() of weights in 8 bits decomposes those in the file, and rounds what is left of them once", async () => {
  const [exact, adapted] = [adaptersOf(await attach(whole)), adaptersOf(await attach(rounded))];
  assert.equal(adapted.size, 6);
  for (const [name, layer] of adapted) {
    const other = exact.get(name)!;
    for (const factor of ["loraA", "loraB"] as const) {
      assert.deepEqual(bitsOf(await layer[factor].floats()), bitsOf(await other[factor].floats()), name);
    }
    const expected = int8Values(await values(other.weight));
    const [b, a] = [await values(layer.initial!.loraB), await values(layer.initial!.loraA)];
    const update = product(b, a);
    const found = await run(gpu, () => layer.effectiveWeight());
    // The sum, the product and its scaling round.
    assertClose(found, expected.map((value, i) => value + 1.5 * update.data[i]!), {
      absolute: update.map((each, i) =>
        8 * 2 ** -24 * (Math.abs(each) + Math.abs(expected.data[i]!) + 1)
      ).data,
    });
  }
});

test("roundingErrors() are the distances from the pretrained weights, smaller than those of rounding the weights themselves", async () => {
  const adapted = await attach(rounded);
  const errors = await roundingErrors(adapted, { pretrained: rounded });
  assert.deepEqual(errors.map(({ kind, layers, precision }) => ({ kind, layers, precision })), [
    { kind: "attention.self.query", layers: 2, precision: "int8" },
    { kind: "attention.output.dense", layers: 2, precision: "int8" },
    { kind: "output.dense", layers: 2, precision: "int8" },
  ]);
  for (const { kind, error, plain } of errors) {
    const sums = { all: 0, adapted: 0, plain: 0 };
    for (const layer of [0, 1]) {
      const { shape, data } = parameters.get(`encoder.layer.${layer}.${kind}.weight`)!;
      const weight = F64Array.fromF32(shape, data);
      const start = await run(
        gpu,
        () => adaptersOf(adapted).get(`encoder.layer.${layer}.${kind}`)!.effectiveWeight(),
      );
      const simple = int8Values(weight);
      weight.data.forEach((value, i) => {
        sums.all += value ** 2;
        sums.adapted += (value - start[i]!) ** 2;
        sums.plain += (value - simple.data[i]!) ** 2;
      });
    }
    // f32 differences of numbers of a few units: 2⁻²² beside errors of 1e-3.
    assert.ok(Math.abs(error / Math.sqrt(sums.adapted / sums.all) - 1) <= 1e-3, kind);
    assert.ok(Math.abs(plain / Math.sqrt(sums.plain / sums.all) - 1) <= 1e-3, kind);
    assert.ok(error < plain, `${kind}: ${error} ${plain}`);
    assert.ok(plain > 1e-3 && plain < 0.02, `${kind}: ${plain}`);
  }
  assert.ok(errors[0]!.error < 0.3 * errors[0]!.plain, JSON.stringify(errors[0]));
});

test("roundingErrors() of a start that takes nothing out are those of the weights, and there are none in f32", async () => {
  for (const { error, plain } of await roundingErrors(await attach(rounded, lora), { pretrained: rounded })) {
    assert.equal(error, plain);
  }
  assert.deepEqual(await roundingErrors(await attach(whole), { pretrained: whole }), []);
});

test("decodeAdapter() puts adapters that were trained in 8 bits on them to the bit, and on the whole weights too", async () => {
  const adapted = await attach(rounded);
  const bytes = await encodeAdapter(adapted, { pretrained: rounded });
  const again = adaptersOf(await decodeAdapter(rounded, bytes));
  for (const [name, layer] of adaptersOf(adapted)) {
    const [before, now] = [
      await run(gpu, () => layer.effectiveWeight()),
      await run(gpu, () => again.get(name)!.effectiveWeight()),
    ];
    assert.deepEqual(bitsOf(now), bitsOf(before), name);
  }
  // Residuals that follow from the weights are not in the file.
  assert.ok(bytes.length < 2 * 4 * 2 * 2 * (2 * 48 + 4 * 74) + 8000, `${bytes.length}`);
  for (const [name, layer] of adaptersOf(await decodeAdapter(whole, bytes))) {
    // W − s·B₀·A₀ + s·B·A with B·A = B₀·A₀ is W, within rounding.
    const { data } = parameters.get(`${name}.weight`)!;
    assertClose(await run(gpu, () => layer.effectiveWeight()), F64Array.fromF32(layer.weight.shape, data), {
      absolute: 2 ** -20,
    });
  }
});

test("exportLora() of a model in 8 bits gives the adapters for the pretrained weights", async () => {
  const options = { pretrained: rounded };
  const { tensors, layers } = await exportLora(await attach(rounded), options);
  const name = "encoder.layer.0.attention.self.query";
  assert.deepEqual(layers.get(name), { rank: 4, alpha: 6 });
  const [a, b] = ["lora_A", "lora_B"].map((part) => tensors.get(`${name}.${part}.weight`)!);
  const change = product(
    F64Array.fromF32(b!.shape, b!.data as Float32Array),
    F64Array.fromF32(a!.shape, a!.data as Float32Array),
  );
  // Nothing has been trained: B·A − B₀·A₀ is 0.
  assertClose(Float32Array.from(change.data), F64Array.full(change.shape), { absolute: 1e-6 });
});
