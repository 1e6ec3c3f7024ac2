import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { StoredTensor } from "../../../src/models/weights/dtype.ts";
import { openWeights } from "../../../src/models/weights/open_weights.ts";
import { encodeSafetensors, readSafetensors } from "../../../src/models/weights/safetensors.ts";
import { saveWeights } from "../../../src/models/weights/save_weights.ts";
import { folderFiles } from "../../support/folder_files.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "federa-save-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** Tensors of so many floats each. */
const tensors = (sizes: Record<string, number>): Map<string, StoredTensor> =>
  new Map(
    Object.entries(sizes).map(([name, size]) => [name, {
      dtype: "F32",
      shape: [size],
      data: Float32Array.from({ length: size }, (_, i) => i + size),
    }]),
  );
const producer = (map: Map<string, StoredTensor>) => ({
  entries: map,
  read: async (name: string) => map.get(name)!,
});
const readAll = async () => {
  const weights = await openWeights(folderFiles(folder));
  const read = new Map<string, StoredTensor>();
  for (const name of weights.entries.keys()) read.set(name, await weights.read(name));
  await weights.close();
  return new Map([...read].sort());
};

test("saveWeights() writes one file while the tensors fit into it", async () => {
  const map = tensors({ a: 2, b: 3 });
  const metadata = { format: "pt" };
  assert.deepEqual(await saveWeights(folder, producer(map), { metadata, maxShardSize: 20 }), [
    "model.safetensors",
  ]);
  assert.deepEqual(await readdir(folder), ["model.safetensors"]);
  const bytes = await readFile(join(folder, "model.safetensors"));
  assert.deepEqual(bytes, Buffer.from(encodeSafetensors(map, metadata)));
});

test("saveWeights() begins a new shard where a tensor doesn't fit, and lists all in an index", async () => {
  // In bytes: a 8 + b 12 = 20; c 28 is alone, though too large; d 4 + e 16 = 20; f 4.
  const map = tensors({ a: 2, b: 3, c: 7, d: 1, e: 4, f: 1 });
  const progress: number[][] = [];
  const names = await saveWeights(folder, producer(map), {
    metadata: { format: "pt" },
    maxShardSize: 20,
    onProgress: (...both) => progress.push(both),
  });
  const shard = (i: number) => `model-0000${i}-of-00004.safetensors`;
  assert.deepEqual(names, [...[1, 2, 3, 4].map(shard), "model.safetensors.index.json"]);
  assert.deepEqual((await readdir(folder)).sort(), [...names].sort());
  assert.deepEqual(progress.map(([bytes]) => bytes).sort((a, b) => a! - b!), [8, 20, 48, 52, 68, 72]);
  assert.ok(progress.every(([, total]) => total === 72));
  assert.deepEqual(JSON.parse(await readFile(join(folder, "model.safetensors.index.json"), "utf8")), {
    metadata: { total_size: 72 },
    weight_map: { a: shard(1), b: shard(1), c: shard(2), d: shard(3), e: shard(3), f: shard(4) },
  });
  for (const name of names.slice(0, 4)) {
    assert.deepEqual(readSafetensors(await readFile(join(folder, name))).metadata, { format: "pt" });
  }
  assert.deepEqual(await readAll(), map);
});

test("saveWeights() replaces the weights of a folder and touches nothing else", async () => {
  await writeFile(join(folder, "config.json"), "{}");
  await writeFile(join(folder, "model_card.safetensors"), "");
  const map = tensors({ a: 2, b: 3, c: 4 });
  const kept = ["config.json", "model_card.safetensors"];
  for (const [maxShardSize, count] of [[100, 1], [20, 3], [8, 4], [20, 3], [100, 1]] as const) {
    await saveWeights(folder, producer(map), { maxShardSize });
    assert.equal((await readdir(folder)).length, kept.length + count);
    assert.deepEqual(await readAll(), map);
  }
  // In place: the old file is read while the new one is written.
  const weights = await openWeights(folderFiles(folder));
  await saveWeights(folder, weights, { maxShardSize: 8 });
  await weights.close();
  assert.deepEqual(await readAll(), map);
});

test("saveWeights() leaves the folder as it was when a tensor fails", async () => {
  const map = tensors({ a: 2, b: 3 });
  await saveWeights(folder, producer(map));
  const failing = {
    entries: tensors({ a: 5, b: 6 }),
    read: async (name: string) => {
      if (name === "b") throw new Error("no more");
      return tensors({ a: 5 }).get(name)!;
    },
  };
  await assert.rejects(saveWeights(folder, failing, { maxShardSize: 20 }), /^Error: no more$/);
  assert.deepEqual(await readdir(folder), ["model.safetensors"]);
  assert.deepEqual(await readAll(), map);
  for (const maxShardSize of [0, -1, NaN]) {
    await assert.rejects(saveWeights(folder, producer(map), { maxShardSize }), RangeError);
  }
});
