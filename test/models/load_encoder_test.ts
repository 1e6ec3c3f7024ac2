import assert from "node:assert/strict";
import { test } from "node:test";
import { bertFamily, loadEncoder, type StoredTensor } from "../../src/models/mod.ts";
import { testGpu } from "../engine/harness.ts";
import { drawBertParameters, tinyBertConfig } from "../support/bert.ts";
import { memoryWeights, stored } from "../support/memory_weights.ts";

const gpu = await testGpu();
const config = tinyBertConfig();
const options = { family: bertFamily, config };
const parameters = drawBertParameters(config, { seed: 4, pooler: true });

const values = (length: number): StoredTensor => ({
  dtype: "F32",
  shape: [length],
  data: new Float32Array(length),
});

async function assertHolds(tensors: ReadonlyMap<string, StoredTensor>, skipped: readonly string[] = []) {
  const source = memoryWeights(tensors);
  const loaded = await loadEncoder(gpu, source, options);
  assert.deepEqual(loaded.skipped, skipped);
  const found = [...loaded.encoder.namedParameters()];
  assert.deepEqual(found.map(([name]) => name), [...parameters.keys()]);
  for (const [name, each] of found) {
    assert.deepEqual(await each.floats(), parameters.get(name)!.data, name);
    each.dispose();
  }
  assert.equal(source.reads.length, found.length);
  assert.ok(skipped.every((name) => !source.reads.includes(name)));
}

test("loadEncoder() reads an encoder by its own names, and a task model's by their prefix and old names", async () => {
  await assertHolds(stored(parameters));
  const old = stored(
    parameters,
    (name) =>
      "bert." +
      name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"),
  );
  await assertHolds(old);
});

test("loadEncoder() leaves heads, buffers and whatever else unread, and names them", async () => {
  const extra = new Map<string, StoredTensor>([
    ["bert.embeddings.position_ids", { dtype: "I64", shape: [1, 2], data: BigInt64Array.of(0n, 1n) }],
    ["cls.predictions.decoder.weight", values(3)],
    ["classifier.bias", values(2)],
    ["qa_outputs.weight", values(2)],
    ["bert.my_own.weight", values(2)],
  ]);
  await assertHolds(new Map([...extra, ...stored(parameters, (name) => `bert.${name}`)]), [...extra.keys()]);
  const buffer: StoredTensor = { dtype: "I64", shape: [1, 1], data: BigInt64Array.of(0n) };
  await assertHolds(new Map([["embeddings.position_ids", buffer], ...stored(parameters)]), [
    "embeddings.position_ids",
  ]);
});

test("loadEncoder() widens half precision exactly", async () => {
  const tensors = stored(parameters);
  const name = "encoder.layer.0.attention.self.query.bias";
  const bias = { shape: [12], data: Uint16Array.from({ length: 12 }, (_, i) => 0x3c00 + i) };
  for (const dtype of ["F16", "BF16"] as const) {
    const { encoder } = await loadEncoder(gpu, memoryWeights(tensors.set(name, { dtype, ...bias })), options);
    const found = await new Map(encoder.namedParameters()).get(name)!.floats();
    // 0x3c00 is 1 in binary16, with steps of 2⁻¹⁰; in bfloat16 it's 2⁻⁷, with steps of 2⁻¹⁴.
    const expected = bias.data.map((_, i) => i);
    assert.deepEqual(
      found,
      Float32Array.from(expected, (i) => dtype === "F16" ? 1 + i * 2 ** -10 : 2 ** -7 + i * 2 ** -14),
    );
    for (const [, each] of encoder.namedParameters()) each.dispose();
  }
});

test("loadEncoder() lists everything that is wrong before it reads a tensor", async () => {
  const tensors = stored(parameters, (name) => `bert.${name}`);
  tensors.delete("bert.encoder.layer.0.output.dense.bias");
  tensors.set("bert.encoder.layer.1.output.dense.bias", values(13));
  tensors.set("bert.embeddings.LayerNorm.gamma", values(12));
  tensors.set("bert.pooler.dense.bias", { dtype: "F64", shape: [12], data: new Float64Array(12) });
  tensors.set("bert.encoder.layer.2.output.dense.bias", values(12));
  tensors.set("embeddings.word_embeddings.weight", values(5));
  tensors.set("adapter", values(1));
  const source = memoryWeights(tensors);
  const before = gpu.stats().liveBytes;
  await assert.rejects(loadEncoder(gpu, source, options), {
    name: "ParameterMismatchError",
    message: [
      "Cannot build the BERT encoder:",
      "  encoder.layer.0.output.dense.bias [12] is missing",
      "  encoder.layer.1.output.dense.bias must be [12], got [13]",
      "  bert.pooler.dense.bias must be F32, F16, BF16, got F64",
      "  embeddings.LayerNorm.weight is there twice, as bert.embeddings.LayerNorm.weight and bert.embeddings.LayerNorm.gamma",
      '  the files also hold tensors that aren\'t part of it, "bert.encoder.layer.2.output.dense.bias", "embeddings.word_embeddings.weight", "adapter"',
    ].join("\n"),
  });
  assert.deepEqual(source.reads, []);
  assert.equal(gpu.stats().liveBytes, before);
});

test("loadEncoder() says how tensors are named where it knows none of them", async () => {
  // As torch.nn.DataParallel saves them; transformers would start every parameter at random.
  const tensors = stored(parameters, (name) => `module.bert.${name}`);
  await assert.rejects(loadEncoder(gpu, memoryWeights(tensors), options), {
    name: "ParameterMismatchError",
    message:
      "Cannot build the BERT encoder: no tensor has a known name, such as embeddings.word_embeddings.weight or " +
      'bert.embeddings.word_embeddings.weight; the names are "module.bert.embeddings.word_embeddings.weight", ' +
      '"module.bert.embeddings.position_embeddings.weight", "module.bert.embeddings.token_type_embeddings.weight", ' +
      '"module.bert.embeddings.LayerNorm.weight" and 35 more',
  });
});

test("loadEncoder() gives back what it had uploaded when a file turns out to be another", async () => {
  const tensors = stored(parameters);
  const honest = memoryWeights(tensors);
  const last = [...tensors.keys()].at(-1)!;
  const source = {
    ...honest,
    read: (name: string) => name === last ? Promise.resolve(values(1)) : honest.read(name),
  };
  const before = gpu.stats().liveBytes;
  await assert.rejects(loadEncoder(gpu, source, options), {
    name: "CorruptFileError",
    message: /pooler\.dense\.bias/,
  });
  assert.equal(gpu.stats().liveBytes, before);
  await assert.rejects(
    loadEncoder(gpu, memoryWeights(stored(drawBertParameters(config, { seed: 1 }))), {
      ...options,
      pooling: "pooler",
    }),
    { name: "TypeError", message: /pooler/ },
  );
  assert.equal(gpu.stats().liveBytes, before);
});
