import assert from "node:assert/strict";
import { test } from "node:test";
import { adaptersOf, attachAdapters, decodeAdapter, encodeAdapter, federa } from "../../src/federa/mod.ts";
import { simulate } from "../../src/fl/mod.ts";
import { Bert, DebertaV2, halfPrecision, uploadParameters } from "../../src/models/mod.ts";
import { classification, TaskModel } from "../../src/tasks/mod.ts";
import { bitsOf, run, testGpu, uploadIntegers } from "../engine/harness.ts";
import { F64Array } from "../reference/array.ts";
import { drawBertParameters, drawTexts, tinyBertConfig, uploadTexts } from "../support/bert.ts";
import { relativeError } from "../support/compare.ts";
import { drawDebertaParameters, tinyDebertaConfig } from "../support/deberta.ts";
import { methodOn } from "../support/methods.ts";
import { randomClients, TinyEncoder, tinyTask } from "../support/tiny_encoder.ts";

const gpu = await testGpu();
const width = 24;
const encoder = new TinyEncoder(gpu, { vocabulary: 50, width, inner: 40 });
const half = halfPrecision(encoder);
const integers = () => uploadIntegers(gpu, F64Array.full([3, 5]).map((_, i) => (7 * i) % 50));
const states = (model: TinyEncoder) =>
  run(gpu, () => model.encode({ inputIds: integers(), attentionMask: integers() }));

// Each of three tables rounds by 2⁻¹¹ of its values, and the norm between them keeps relative errors: a few 2⁻¹¹.
const tolerance = 4 * 2 ** -11;

test("halfPrecision() halves weights and tables, shares the rest, and moves the output by a few roundings", async () => {
  for (const [name, parameter] of half.namedParameters()) {
    const isTable = name.endsWith(".weight") && !name.startsWith("norm");
    assert.equal(parameter.dtype, isTable ? "f16" : "f32", name);
    const original = new Map(encoder.namedParameters()).get(name)!;
    if (isTable) assert.equal(2 * parameter.range.bytes, original.range.bytes, name);
    else assert.equal(parameter, original);
  }
  const error = relativeError(await states(half), await states(encoder));
  assert.ok(error > 0 && error <= tolerance, `relative error ${error}`);
});

test("halfPrecision() of encoders takes in their tables of positions, token types and distances", async () => {
  const bert = tinyBertConfig();
  const deberta = tinyDebertaConfig({ positionBiasedInput: true, typeVocabSize: 2 });
  const encoders = [
    new Bert(uploadParameters(gpu, drawBertParameters(bert, { seed: 3 })), { config: bert }),
    new DebertaV2(uploadParameters(gpu, drawDebertaParameters(deberta, 3)), { config: deberta }),
  ];
  const tokens = uploadTexts(gpu, drawTexts(bert, [16, 16], 4));
  for (const encoder of encoders) {
    const [full, half] = [encoder, halfPrecision(encoder)].map((each) => () => each.encode(tokens));
    const error = relativeError(await run(gpu, half!), await run(gpu, full!));
    assert.ok(error > 0 && error <= tolerance, `relative error ${error}`);
  }
});

test("federa() on half precision starts where the model is, and its file brings back the same bits", async () => {
  const adapted = await attachAdapters(half, {
    targets: ["inner", "outer"],
    rank: 3,
    alpha: 3,
    initialization: federa(),
  });
  for (const { weight } of adaptersOf(adapted).values()) assert.equal(weight.dtype, "f16");
  const output = await states(adapted);
  assert.ok(relativeError(output, await states(half)) <= tolerance);
  const loaded = await decodeAdapter(half, await encodeAdapter(adapted, { pretrained: half }));
  assert.deepEqual(bitsOf(await states(loaded)), bitsOf(output));
});

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

test("simulate() trains adapters of a model in half precision as it does in f32, within rounding", async () => {
  const losses = async (model: TinyEncoder) => {
    const found: number[] = [];
    for await (
      const event of simulate(classifier(model), { ...options, method: methodOn("federa", adapters) })
    ) {
      if (event.type === "round") found.push(event.report.trainLoss!);
    }
    return found;
  };
  const [rounded, exact] = [await losses(half), await losses(encoder)];
  assert.equal(rounded.length, 2);
  // Losses are near ln 2 and smooth in the states.
  rounded.forEach((loss, i) => assert.ok(Math.abs(loss - exact[i]!) <= 4 * tolerance, `${loss} ${exact[i]}`));
});

test("simulate() refuses to train or correct weights in half precision, and says what to take", async () => {
  const start = async (name: string) => {
    for await (const event of simulate(classifier(half), { ...options, method: methodOn(name, adapters) })) {
      void event;
    }
  };
  await assert.rejects(start("full"), {
    name: "TypeError",
    message: /half precision: choose a low-rank method/,
  });
  await assert.rejects(start("federa-exact"), {
    name: "TypeError",
    message: /federa-exact .* half precision/,
  });
});
