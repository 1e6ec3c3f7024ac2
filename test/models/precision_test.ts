import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ones, type Precision, type Tensor } from "../../src/engine/mod.ts";
import { adaptersOf, attachAdapters, decodeAdapter, encodeAdapter, federa } from "../../src/federa/mod.ts";
import { simulate } from "../../src/fl/mod.ts";
import {
  Bert,
  bertFamily,
  DebertaV2,
  type HostParameters,
  inPrecision,
  loadEncoder,
  uploadParameters,
} from "../../src/models/mod.ts";
import { classification, TaskModel } from "../../src/tasks/mod.ts";
import { bitsOf, run, testGpu, uploadIntegers } from "../engine/harness.ts";
import { F64Array } from "../reference/array.ts";
import { int8Values } from "../reference/int8.ts";
import { drawBertParameters, drawTexts, tinyBertConfig, uploadTexts } from "../support/bert.ts";
import { relativeError } from "../support/compare.ts";
import { drawDebertaParameters, tinyDebertaConfig } from "../support/deberta.ts";
import { memoryWeights, stored } from "../support/memory_weights.ts";
import { methodNames, methodOn } from "../support/methods.ts";
import { randomClients, TinyEncoder, tinyTask } from "../support/tiny_encoder.ts";

const gpu = await testGpu();
const width = 24;
const encoder = new TinyEncoder(gpu, { vocabulary: 1100, width, inner: 40, attention: true });
const integers = () => uploadIntegers(gpu, F64Array.full([3, 5]).map((_, i) => (7 * i) % 1100));
const states = (model: TinyEncoder) =>
  run(gpu, () => model.encode({ inputIds: integers(), attentionMask: ones(gpu, [3, 5]) }));

const adapters = { targets: ["encoder.inner", "encoder.outer"], rank: 2, alpha: 2, svd: "exact" };
const options = {
  train: tinyTask({ size: 40, length: 4, seed: 1 }),
  test: tinyTask({ size: 20, length: 4, seed: 2 }),
  clients: randomClients(40, 4, 1),
  rounds: 2,
  blockSize: 2,
  work: { steps: 2 },
  batchSize: 4,
  optimizer: { name: "sgd" },
  learningRate: 0.1,
  seed: 1,
} as const;

const classifier = (model: TinyEncoder) =>
  TaskModel.create(gpu, model, { task: classification({ labels: ["a", "b", "c"] }), seed: 3 });

/** The bytes of a tensor by its shape. */
const bytesOf: Readonly<Record<string, (shape: readonly [number, number]) => number>> = {
  f16: ([rows, columns]) => 2 * rows * columns,
  int8: ([rows, columns]) => rows * (4 * Math.ceil(columns / 4) + 4),
};

/**
 * Each of three tables rounds, and the norm between them keeps relative errors: a few times what a table's rows move by. That is
 * 2⁻¹¹ in half precision; in 8 bits at most √40·s/2 = √40·max/254 of a row whose length is at least max.
 */
const tolerances: Readonly<Record<string, number>> = { f16: 4 * 2 ** -11, int8: 4 * Math.sqrt(40) / 254 };

for (const precision of ["f16", "int8"] as const) {
  describe(`weights stored as ${precision}`, () => {
    const rounded = inPrecision(encoder, precision);
    const tolerance = tolerances[precision]!;

    test("inPrecision() takes weights and tables, shares the rest, and moves the output by a few roundings", async () => {
      const originals = new Map(encoder.namedParameters());
      for (const [name, parameter] of rounded.namedParameters()) {
        const isTable = name.endsWith(".weight") && !name.startsWith("norm");
        assert.equal(parameter.dtype, isTable ? precision : "f32", name);
        const original = originals.get(name)!;
        const expected = Math.ceil(bytesOf[precision]!(parameter.shape as [number, number]) / 16) * 16;
        if (isTable) assert.equal(parameter.range.bytes, expected, name);
        else assert.equal(parameter, original);
      }
      const error = relativeError(await states(rounded), await states(encoder));
      assert.ok(error > 0 && error <= tolerance, `relative error ${error}`);
    });

    test("attachAdapters() starts where the model is, and its file brings back the same bits", async () => {
      const options = { targets: ["inner", "outer"], rank: 3, alpha: 3, initialization: federa() };
      const adapted = await attachAdapters(rounded, options);
      for (const { weight } of adaptersOf(adapted).values()) assert.equal(weight.dtype, precision);
      const output = await states(adapted);
      assert.ok(relativeError(output, await states(rounded)) <= tolerance);
      const loaded = await decodeAdapter(rounded, await encodeAdapter(adapted, { pretrained: rounded }));
      assert.deepEqual(bitsOf(await states(loaded)), bitsOf(output));
    });

    test("simulate() trains adapters as it does in f32, within rounding", async () => {
      const losses = async (model: TinyEncoder) => {
        const found: number[] = [];
        for await (
          const event of simulate(classifier(model), { ...options, method: methodOn("federa", adapters) })
        ) {
          if (event.type === "round") found.push(event.report.trainLoss!);
        }
        return found;
      };
      const [inRounded, exact] = [await losses(rounded), await losses(encoder)];
      assert.equal(inRounded.length, 2);
      // Losses are near ln 3 and smooth in the states.
      inRounded.forEach((loss, i) =>
        assert.ok(Math.abs(loss - exact[i]!) <= 4 * tolerance, `${loss} ${exact[i]}`)
      );
    });

    test("simulate() refuses methods that train or correct weights, and runs all others", async () => {
      const refused: string[] = [];
      for (const name of methodNames) {
        try {
          const method = methodOn(name, adapters);
          for await (const event of simulate(classifier(rounded), { ...options, rounds: 1, method })) {
            void event;
          }
        } catch (error) {
          assert.ok(error instanceof TypeError, String(error));
          assert.match(
            error.message,
            new RegExp(`encoder\\.\\w+\\.weight, which is stored as ${precision}: `),
          );
          refused.push(name);
        }
      }
      assert.deepEqual(refused.sort(), [
        "fed-sb",
        "federa-exact",
        "fedex-lora",
        "fedmomentum",
        "flora",
        "florist",
        "full",
        "lora-ga",
        "slora",
        "smt",
      ]);
    });
  });
}

test("inPrecision() in half precision takes in tables of positions, token types and distances, and in 8 bits large ones alone", async () => {
  const bert = tinyBertConfig();
  const deberta = tinyDebertaConfig({ positionBiasedInput: true, typeVocabSize: 2 });
  const encoders = [
    new Bert(uploadParameters(gpu, drawBertParameters(bert, { seed: 3 })), { config: bert }),
    new DebertaV2(uploadParameters(gpu, drawDebertaParameters(deberta, 3)), { config: deberta }),
  ];
  const tokens = uploadTexts(gpu, drawTexts(bert, [16, 16], 4));
  for (const encoder of encoders) {
    const full = await run(gpu, () => encoder.encode(tokens));
    for (const [precision, tolerance] of [["f16", tolerances["f16"]!], ["int8", 0.1]] as const) {
      const rounded = inPrecision(encoder, precision);
      const error = relativeError(await run(gpu, () => rounded.encode(tokens)), full);
      assert.ok(error > 0 && error <= tolerance, `relative error ${error}`);
      const tables = [...rounded.namedParameters()].filter(([name]) => /embeddings\.weight$/.test(name));
      assert.ok(tables.every(([, { dtype }]) => dtype === (precision === "f16" ? "f16" : "f32")));
    }
  }
});

const config = tinyBertConfig({ vocabSize: 1100, hiddenSize: 24, intermediateSize: 50 });
const family = { family: bertFamily, config };
const parameters = drawBertParameters(config, { seed: 4, pooler: true });

/** Loads parameters as a file in memory; `reopened` is what is there when they are read again. */
async function load(precision: Precision, { reopened = parameters }: { reopened?: HostParameters } = {}) {
  const source = memoryWeights(stored(parameters));
  const reopen = () => Promise.resolve(memoryWeights(stored(reopened)));
  const { encoder } = await loadEncoder(gpu, source, { ...family, precision, reopen });
  return encoder;
}

const nameOfQuery = "encoder.layer.1.attention.self.query";
const weightOf = (model: { namedParameters(): Iterable<[string, Tensor]> }, name: string) =>
  new Map(model.namedParameters()).get(`${name}.weight`)!;

test("loadEncoder() rounds weights and large tables one by one, and no more than one is in f32 at a time", async () => {
  const before = gpu.stats();
  const encoder = await load("int8");
  const total = [...parameters.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  const table = parameters.get("embeddings.word_embeddings.weight")!.data.byteLength;
  const own = gpu.stats().liveBytes - before.liveBytes;
  // Rows of 24 take 28 bytes instead of 96; vectors stay, and every buffer takes 256 bytes or more.
  assert.ok(own <= 0.5 * total, `${own} of ${total}`);
  assert.ok(
    gpu.stats().peakBytes - before.liveBytes <=
      Math.max(before.peakBytes - before.liveBytes, own + 1.3 * table),
  );
  for (const [name, parameter] of encoder.namedParameters()) {
    const { data } = parameters.get(name)!;
    const isStored = name.includes("word_embeddings") ||
      (name.endsWith(".weight") && /dense|query|key|value/.test(name));
    assert.equal(parameter.dtype, isStored ? "int8" : "f32", name);
    if (!isStored) assert.deepEqual(await parameter.floats(), data);
  }
  const { shape, data } = parameters.get(`${nameOfQuery}.weight`)!;
  const expected = int8Values(F64Array.fromF32(shape, data));
  const adapted = await attachAdapters(encoder, {
    targets: [nameOfQuery],
    rank: 2,
    alpha: 2,
    initialization: (weights) =>
      Promise.resolve(weights.map((weight) => ({ weight, loraA: zeroA(), loraB: zeroB() }))),
  });
  const [layer] = adaptersOf(adapted).values();
  assert.deepEqual([...await run(gpu, () => layer!.effectiveWeight())], [
    ...Float32Array.from(expected.data),
  ]);
});

const zeroA = () => uploadFloats([2, 24]);
const zeroB = () => uploadFloats([24, 2]);
const uploadFloats = (shape: readonly number[]) =>
  uploadParameters(gpu, new Map([["x", { shape, data: new Float32Array(shape[0]! * shape[1]!) }]])).get("x")!;

test("loadEncoder() names a weight that can't be rounded", async () => {
  const data = parameters.get(`${nameOfQuery}.weight`)!.data.slice();
  data[30] = NaN;
  const broken = new Map([...parameters, [`${nameOfQuery}.weight`, { shape: [24, 24], data }]]);
  const before = gpu.stats().liveBytes;
  for (const precision of ["f16", "int8"] as const) {
    await assert.rejects(loadEncoder(gpu, memoryWeights(stored(broken)), { ...family, precision }), {
      name: "NonFiniteError",
      message: `Cannot store ${nameOfQuery}.weight as ${precision}: its element 30 is NaN`,
    });
  }
  assert.equal(gpu.stats().liveBytes, before);
});

test("attachAdapters() refuses weights whose file has changed since they were rounded", async () => {
  const data = parameters.get(`${nameOfQuery}.weight`)!.data.map((value) => 2 * value);
  const changed = new Map([...parameters, [`${nameOfQuery}.weight`, { shape: [24, 24], data }]]);
  const encoder = await load("int8", { reopened: changed });
  const before = gpu.stats().liveBytes;
  const options = { rank: 2, alpha: 2, initialization: federa() };
  await assert.rejects(attachAdapters(encoder, { ...options, targets: [nameOfQuery] }), {
    name: "CorruptFileError",
    message:
      `Cannot use ${nameOfQuery}.weight: its values have changed since the model was loaded; start again`,
  });
  assert.equal(gpu.stats().liveBytes, before);
  await attachAdapters(encoder, { ...options, targets: ["encoder.layer.0.attention.self.query"] });
  assert.equal(weightOf(encoder, nameOfQuery).dtype, "int8");
});
