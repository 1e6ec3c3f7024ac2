import assert from "node:assert/strict";
import { test } from "node:test";
import { tidy } from "../../src/engine/mod.ts";
import { encodeSafetensors, openPretrained, readEncoderConfig } from "../../src/models/mod.ts";
import { testGpu } from "../engine/harness.ts";
import { assertClose } from "../support/compare.ts";
import { GoldenEncoder } from "../support/golden_encoder.ts";
import { temporaryFiles } from "../support/temporary_files.ts";

const gpu = await testGpu();
const golden = new GoldenEncoder(new URL("../golden/encoders/distilbert_b.safetensors", import.meta.url));

test("openPretrained() builds what config.json and the weights are, and says what it left out", async () => {
  const files = await temporaryFiles({
    "config.json": golden.config as object,
    "model.safetensors": encodeSafetensors(golden.checkpoint),
  });
  const calls: [number, number][] = [];
  const { encoder, family, config, json, skipped } = await openPretrained(gpu, files, {
    pooling: "cls",
    onProgress: (...call) => calls.push(call),
  });
  assert.equal(family.modelType, "distilbert");
  assert.equal(config.hiddenSize, 12);
  assert.deepEqual(json, golden.config);
  assert.deepEqual([...skipped].sort(), [
    "classifier.bias",
    "classifier.weight",
    "pre_classifier.bias",
    "pre_classifier.weight",
  ]);
  const total = [...encoder.namedParameters()].length;
  assert.deepEqual(calls.at(-1), [total, total]);
  assert.equal(calls.length, total);
  const tokens = golden.tokens(gpu);
  const [states, vectors] = tidy(() => {
    const states = encoder.encode(tokens);
    return [states, encoder.pool(states, tokens)] as const;
  });
  const expected = golden.values("states");
  // As in the test of all golden encoders.
  assertClose(await states.floats(), expected, { absolute: 1e-5 });
  const rows = [0, 9, 18].map((row) => expected.subarray(12 * row, 12 * row + 12));
  assertClose(await vectors.floats(), rows.flatMap((row) => [...row]), { absolute: 1e-5 });
});

test("openPretrained() gives the memory back when the weights are another model's", async () => {
  const files = await temporaryFiles({
    "config.json": { ...golden.config as object, dim: 15 },
    "model.safetensors": encodeSafetensors(golden.checkpoint),
  });
  const before = gpu.stats().liveBytes;
  await assert.rejects(openPretrained(gpu, files), { name: "ParameterMismatchError" });
  assert.equal(gpu.stats().liveBytes, before);
});

test("readEncoderConfig() names the families there are, and the nearest, for a type that isn't supported", async () => {
  const of = async (config: string | object) =>
    readEncoderConfig(await temporaryFiles({ "config.json": config }));
  await assert.rejects(of({ model_type: "robrta" }), {
    name: "ModelConfigError",
    message: /Cannot open .*\bbert, .*\broberta\b.*, got "robrta"; the nearest is roberta$/,
  });
  await assert.rejects(of({ model_type: "whisper" }), {
    name: "ModelConfigError",
    message: /, got "whisper"$/,
  });
  await assert.rejects(of({}), { name: "ModelConfigError", message: /got nothing$/ });
  await assert.rejects(of({ model_type: "toString" }), { name: "ModelConfigError" });
  await assert.rejects(of({ model_type: "bert" }), {
    name: "ModelConfigError",
    message: /^ {2}hidden_size: /m,
  });
  await assert.rejects(of("[1, 2"), { name: "CorruptFileError" });
  await assert.rejects(readEncoderConfig(await temporaryFiles({})), {
    name: "ModelConfigError",
    message: /no config\.json/,
  });
});
