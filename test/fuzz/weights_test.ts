import assert from "node:assert/strict";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { StoredTensor } from "../../src/models/weights/dtype.ts";
import { openWeights } from "../../src/models/weights/open_weights.ts";
import { encodeSafetensors, readSafetensors } from "../../src/models/weights/safetensors.ts";
import { folderFiles } from "../support/folder_files.ts";
import { fuzz } from "../support/fuzz.ts";
import { type Mutate, mutateBytes, mutateJson } from "../support/mutate.ts";
import { temporaryFolder } from "../support/temporary_files.ts";

const reference = new Uint8Array(
  await readFile(new URL("../golden/safetensors/reference.safetensors", import.meta.url)),
);
const tensors = (...names: string[]): [string, StoredTensor][] =>
  names.map((name, i) => [name, { dtype: "F32", shape: [2], data: Float32Array.of(i, -i) }]);
const corpus = [
  reference,
  encodeSafetensors(new Map(tensors("a", "b", "c")), { format: "pt" }),
  encodeSafetensors(new Map()),
];

/** Bytes anywhere, or the header as the JSON that it is, with its length set right most of the time. */
const mutateSafetensors: Mutate = (bytes, random) => {
  if (random.integer(3) === 0) return mutateBytes(bytes, random);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const length = view.getUint32(0, true);
  const header = mutateJson(bytes.subarray(8, 8 + length), random);
  const file = new Uint8Array(bytes.length - length + header.length);
  new DataView(file.buffer).setUint32(0, random.integer(20) === 0 ? length : header.length, true);
  file.set(header, 8);
  file.set(bytes.subarray(8 + length), 8 + header.length);
  return file;
};

const folder = temporaryFolder();

/** Opens a folder's weights and reads all of them. */
async function readAll(path: string): Promise<void> {
  const weights = await openWeights(folderFiles(path));
  try {
    for (const [name, { shape }] of weights.entries) {
      assert.equal((await weights.read(name)).data.length, shape.reduce((a, b) => a * b, 1));
    }
  } finally {
    await weights.close();
  }
}

test("readSafetensors() reads mutated files or refuses them", async () => {
  const report = await fuzz("safetensors in memory", readSafetensors, {
    corpus,
    mutate: mutateSafetensors,
    errors: ["CorruptFileError"],
    runs: 1000,
  });
  assert.ok(report.read > 0 && report.errors["CorruptFileError"]! > 0);
});

test("openWeights() reads mutated files or refuses them", async () => {
  await fuzz("safetensors on disk", async (bytes) => {
    await writeFile(join(folder, "model.safetensors"), bytes);
    await readAll(folder);
  }, { corpus, mutate: mutateSafetensors, errors: ["CorruptFileError"] });
  await rm(join(folder, "model.safetensors"));
});

test("openWeights() reads by mutated indices or refuses them", async () => {
  const shards = { "x.safetensors": ["a", "b"], "y.safetensors": ["c"] };
  for (const [shard, names] of Object.entries(shards)) {
    await writeFile(join(folder, shard), encodeSafetensors(new Map(tensors(...names))));
  }
  const index = {
    metadata: { total_size: 24 },
    weight_map: { a: "x.safetensors", b: "x.safetensors", c: "y.safetensors" },
  };
  await fuzz("index of shards", async (bytes) => {
    await writeFile(join(folder, "model.safetensors.index.json"), bytes);
    await readAll(folder);
  }, {
    corpus: [new TextEncoder().encode(JSON.stringify(index))],
    mutate: mutateJson,
    errors: ["CorruptFileError"],
  });
});
