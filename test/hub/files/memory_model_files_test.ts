import assert from "node:assert/strict";
import { openAsBlob } from "node:fs";
import { rm, utimes, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { memoryModelFiles, readJsonObject, readModelFile } from "../../../src/hub/mod.ts";
import { openWeights, readSafetensors } from "../../../src/models/mod.ts";
import { temporaryFiles } from "../../support/temporary_files.ts";

const reference = new URL("../../golden/safetensors/reference.safetensors", import.meta.url);

test("memoryModelFiles() takes bytes, text and blobs, and has nothing else", async () => {
  const files = memoryModelFiles({
    "config.json": `{"a": 1}`,
    "1_Pooling/config.json": new Blob([`{"b":`, ` 2}`]),
    "bytes": new Uint8Array([9, 8, 7, 6]).subarray(1, 3),
    "buffer": new Uint8Array([5]).buffer,
  });
  assert.equal(files.source, "memory");
  assert.deepEqual(await readJsonObject(files, "config.json"), { a: 1 });
  assert.deepEqual(await readJsonObject(files, "1_Pooling/config.json"), { b: 2 });
  assert.deepEqual([...(await readModelFile(files, "bytes"))!.bytes], [8, 7]);
  assert.deepEqual([...(await readModelFile(files, "buffer"))!.bytes], [5]);
  for (const name of ["tokenizer.json", "toString", "__proto__"]) {
    assert.equal(await files.has(name), false);
    assert.equal(await files.open(name), undefined);
    assert.equal(await readJsonObject(files, name), undefined);
  }
  assert.equal(await files.has("config.json"), true);
});

test("memoryModelFiles() refuses names outside the model", () => {
  for (const name of ["../config.json", "/config.json", "", "a\\b"]) {
    assert.throws(() => memoryModelFiles({ [name]: "" }), { name: "HubError", reason: "invalid" });
  }
});

test("what is wrong with a file in memory is said with the name given", async () => {
  const files = memoryModelFiles({ "config.json": "[1]", "other.json": "{" }, { source: "my model" });
  const refuses = (name: string, message: string, options = {}) =>
    assert.rejects(readJsonObject(files, name, options), { name: "CorruptFileError", message });
  await refuses("config.json", "Cannot read my model/config.json: it must be a JSON object, got [1]");
  await refuses("other.json", "Cannot read my model/other.json: it is not JSON in UTF-8");
  await refuses("config.json", "Cannot read my model/config.json: it may take 2 bytes, got 3", {
    maxBytes: 2,
  });
});

test("openWeights() reads weights in memory, and from a blob of a file that may change", async () => {
  const disk = await temporaryFiles({});
  const path = `${disk.source}/weights`;
  const bytes = await (await openAsBlob(reference)).arrayBuffer();
  await writeFile(path, new Uint8Array(bytes));
  const { tensors } = readSafetensors(bytes);
  for (const content of [bytes, await openAsBlob(path)]) {
    const weights = await openWeights(memoryModelFiles({ "model.safetensors": content }));
    assert.deepEqual([...weights.entries.keys()], [...tensors.keys()]);
    for (const [name, tensor] of tensors) assert.deepEqual(await weights.read(name), tensor);
    await weights.close();
  }
  const weights = await openWeights(memoryModelFiles({ "model.safetensors": await openAsBlob(path) }));
  await utimes(path, 1, 1);
  await assert.rejects(weights.read("weight"), {
    name: "CorruptFileError",
    message: /^Cannot read memory\/model\.safetensors: /,
  });
  const short = memoryModelFiles({ "model.safetensors": bytes.slice(0, -1) });
  await assert.rejects(openWeights(short), { message: /^Cannot read memory\/model\.safetensors: / });
  await rm(path);
});

test("openWeights() reads shards in memory", async () => {
  const bytes = await (await openAsBlob(reference)).arrayBuffer();
  const names = [...readSafetensors(bytes).tensors.keys()];
  const index = { weight_map: Object.fromEntries(names.map((name) => [name, "model-1.safetensors"])) };
  const weights = await openWeights(memoryModelFiles({
    "model.safetensors.index.json": JSON.stringify(index),
    "model-1.safetensors": bytes,
  }));
  assert.deepEqual([...weights.entries.keys()], names);
});
