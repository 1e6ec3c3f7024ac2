import assert from "node:assert/strict";
import { copyFile, mkdtemp, open, readFile, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { StoredTensor } from "../../../src/models/weights/dtype.ts";
import { CorruptFileError } from "../../../src/models/errors.ts";
import { openWeights } from "../../../src/models/weights/open_weights.ts";
import { encodeSafetensors, readSafetensors } from "../../../src/models/weights/safetensors.ts";
import { SafetensorsFile } from "../../../src/models/weights/safetensors_file.ts";
import { folderFiles } from "../../support/folder_files.ts";

const reference = fileURLToPath(new URL("../../golden/safetensors/reference.safetensors", import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "federa-weights-"));
});
afterEach(() => rm(folder, { recursive: true }));

const f32 = (...values: number[]): StoredTensor => ({
  dtype: "F32",
  shape: [values.length],
  data: Float32Array.from(values),
});
const file = (name: string, content: string | Uint8Array) => writeFile(join(folder, name), content);
const shard = (name: string, tensors: Record<string, StoredTensor>) =>
  file(name, encodeSafetensors(new Map(Object.entries(tensors))));
const index = (weightMap: unknown, rest: object = { metadata: { total_size: 8 } }) =>
  file("model.safetensors.index.json", JSON.stringify({ ...rest, weight_map: weightMap }));

describe("openWeights()", () => {
  it("openWeights() reads each tensor of a file that the Python library wrote", async () => {
    await copyFile(reference, join(folder, "model.safetensors"));
    const { tensors } = readSafetensors(await readFile(reference));
    const weights = await openWeights(folderFiles(folder));
    assert.deepEqual([...weights.entries.keys()], [...tensors.keys()]);
    for (const [name, tensor] of [...tensors].reverse()) {
      const { dtype, shape } = weights.entries.get(name)!;
      assert.deepEqual({ dtype, shape }, { dtype: tensor.dtype, shape: tensor.shape });
      assert.deepEqual(await weights.read(name), tensor);
    }
    await assert.rejects(weights.read("absent"), {
      name: "RangeError",
      message: /"absent".*none of that name/,
    });
    await weights.close();
  });

  it("openWeights() reads tensors that begin anywhere", async () => {
    const header = JSON.stringify({
      a: { dtype: "U8", shape: [1], data_offsets: [0, 1] },
      b: { dtype: "F32", shape: [2], data_offsets: [1, 9] },
    });
    const bytes = Buffer.alloc(8 + header.length + 9);
    bytes.writeBigUInt64LE(BigInt(header.length));
    bytes.write(header, 8);
    bytes[8 + header.length] = 7;
    bytes.writeFloatLE(1.5, 8 + header.length + 1);
    bytes.writeFloatLE(-3, 8 + header.length + 5);
    await file("model.safetensors", bytes);
    const weights = await openWeights(folderFiles(folder));
    assert.deepEqual(await weights.read("b"), { dtype: "F32", shape: [2], data: Float32Array.of(1.5, -3) });
    assert.deepEqual(readSafetensors(bytes).tensors.get("b")!.data, Float32Array.of(1.5, -3));
    await weights.close();
  });

  it("openWeights() reads the shards of an index, whatever total size it tells", async () => {
    await shard("model-00001-of-00002.safetensors", { a: f32(1), c: f32(3, 4) });
    await shard("model-00002-of-00002.safetensors", { b: f32(2) });
    for (const rest of [{ metadata: { total_size: 16 } }, {}, { metadata: { total_size: 1.5e9 } }]) {
      const [one, two] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
      await index({ a: one, b: two, c: one }, rest);
      const weights = await openWeights(folderFiles(folder));
      assert.deepEqual([...weights.entries.keys()].sort(), ["a", "b", "c"]);
      assert.deepEqual(await weights.read("b"), f32(2));
      assert.deepEqual(await weights.read("c"), f32(3, 4));
      await assert.rejects(weights.read("d"), RangeError);
      await weights.close();
    }
  });

  it("openWeights() refuses an index that its shards contradict", async () => {
    await shard("x.safetensors", { a: f32(1) });
    await shard("y.safetensors", { b: f32(2) });
    const refuses = async (weightMap: unknown, message: RegExp) => {
      await index(weightMap);
      await assert.rejects(openWeights(folderFiles(folder)), { name: "CorruptFileError", message });
    };
    await refuses({ a: "x.safetensors", b: "x.safetensors" }, /x\.safetensors: it lacks tensor "b"/);
    await refuses({ a: "x.safetensors", c: "y.safetensors" }, /y\.safetensors: it lacks tensor "c"/);
    await shard("y.safetensors", { b: f32(2), a: f32(1) });
    await refuses({ a: "x.safetensors", b: "y.safetensors" }, /y\.safetensors: it holds tensor "a"/);
    await refuses({ a: "z.safetensors" }, /index\.json: it names z\.safetensors, which .* doesn't have/);
    await refuses({}, /names no tensor/);
    for (const bad of [undefined, null, [], "x", 3]) await refuses(bad, /weight_map must name/);
    const outside = ["../x.safetensors", "/x.safetensors", "a/x.safetensors", "..", "a\\x.safetensors", 3];
    for (const bad of [...outside, "x.bin", "x.safetensors\0", ".safetensors", null, {}]) {
      await refuses({ a: bad }, /tensor "a" must be in a \.safetensors file of the same folder/);
    }
    await refuses(
      Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [i, `${i}.safetensors`])),
      /1001/,
    );
    for (const bad of ["", "{", "[]", "null", Uint8Array.of(0x22, 0xff, 0x22)]) {
      await file("model.safetensors.index.json", bad);
      await assert.rejects(openWeights(folderFiles(folder)), {
        name: "CorruptFileError",
        message: /index\.json/,
      });
    }
  });

  it("openWeights() refuses weights in other formats and says how to convert them", async () => {
    const refuses = async (message: RegExp) => {
      await assert.rejects(openWeights(folderFiles(folder)), { name: "WeightsUnavailableError", message });
    };
    await refuses(/has neither model\.safetensors nor model\.safetensors\.index\.json$/);
    await file("model.gguf", "");
    await refuses(/only model\.gguf, which isn't read/);
    await file("adapter_model.safetensors", "");
    await refuses(/only adapter_model\.safetensors, an adapter/);
    await file("pytorch_model.bin.index.json", "");
    await refuses(/json\.load\(open\("pytorch_model\.bin\.index\.json"\)\)/);
    await file("pytorch_model.bin", "");
    await refuses(
      /pickle, which can run any code .*pip install torch safetensors[^]*for part in \["pytorch_model\.bin"\]/,
    );
  });

  it("openWeights() fetches nothing that it doesn't read", async () => {
    await file("pytorch_model.bin", "");
    const asked: string[] = [];
    const files = folderFiles(folder);
    const open = (name: string) => (asked.push(name), files.open(name));
    await assert.rejects(openWeights({ ...files, open }), { name: "WeightsUnavailableError" });
    assert.deepEqual(asked, ["model.safetensors", "model.safetensors.index.json"]);
  });
});

describe("SafetensorsFile", () => {
  it("SafetensorsFile.open() names the file and what is wrong with it", async () => {
    const path = join(folder, "model.safetensors");
    const refuses = async (content: string | Uint8Array, message: RegExp) => {
      await file("model.safetensors", content);
      await assert.rejects(SafetensorsFile.open(path), (error) => {
        assert.ok(error instanceof CorruptFileError && error.message.startsWith(`Cannot read ${path}: `));
        assert.match(error.message, message);
        return true;
      });
    };
    await refuses("", /at least 8 bytes, got 0/);
    await refuses(Uint8Array.of(255, 0, 0, 0, 0, 0, 0, 0, 123), /take 255 bytes, but 1 follow/);
    await refuses("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", /Git LFS pointer/);
    const bytes = await readFile(reference);
    for (const length of [9, 200, bytes.length - 1]) await refuses(bytes.subarray(0, length), /./);
    await assert.rejects(SafetensorsFile.open(join(folder, "absent")), { code: "ENOENT" });
  });

  it("SafetensorsFile.read() refuses a file that was written to since it was opened", async () => {
    const path = join(folder, "model.safetensors");
    await copyFile(reference, path);
    const opened = await SafetensorsFile.open(path);
    await utimes(path, 1, 1);
    await assert.rejects(opened.read("weight"), {
      name: "CorruptFileError",
      message: `Cannot read ${path}: the file was written to while it was open`,
    });
    await truncate(path, 300);
    await assert.rejects(opened.read("weight"), {
      name: "CorruptFileError",
      message: /written to|ends at byte/,
    });
    await opened.close();
  });

  it("SafetensorsFile.read() takes the memory of one tensor, not of the file", async () => {
    const [numTensors, rows, width] = [16, 1024, 1024];
    const size = rows * width * 4;
    const entries = Array.from({ length: numTensors }, (_, i) => [`tensor.${i}`, {
      dtype: "F32",
      shape: [rows, width],
      data_offsets: [i * size, (i + 1) * size],
    }]);
    const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
    const path = join(folder, "large.safetensors");
    // 64 MiB, of which only one value in each tensor is on the disk.
    const writer = await open(path, "w");
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(BigInt(header.length));
    await writer.write(Buffer.concat([prefix, header]), 0, null, 0);
    for (let i = 0; i < numTensors; i++) {
      const last = Buffer.from(Float32Array.of(i + 1).buffer);
      await writer.write(last, 0, 4, 8 + header.length + (i + 1) * size - 4);
    }
    await writer.close();

    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    collect();
    const before = process.memoryUsage().arrayBuffers;
    const opened = await SafetensorsFile.open(path);
    for (let i = 0; i < numTensors; i++) {
      const { data } = await opened.read(`tensor.${i}`);
      assert.equal(data.at(-1), i + 1);
      assert.equal(data.buffer.byteLength, size);
      collect();
      const taken = process.memoryUsage().arrayBuffers - before;
      // The tensor at hand, and at most the one before it; the rest is for the test runner's own messages.
      assert.ok(taken < 2 * size + (1 << 20), `${taken} bytes`);
    }
    await opened.close();
  });
});
