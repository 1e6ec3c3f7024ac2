import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { StoredTensor } from "../../../src/models/weights/dtype.ts";
import { readSafetensors } from "../../../src/models/weights/safetensors.ts";
import { SafetensorsFile } from "../../../src/models/weights/safetensors_file.ts";
import { type TensorProducer, writeSafetensors } from "../../../src/models/weights/write_safetensors.ts";

const reference = new URL("../../golden/safetensors/reference.safetensors", import.meta.url);

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "federa-write-"));
  path = join(folder, "model.safetensors");
});
afterEach(() => rm(folder, { recursive: true }));

const producer = (tensors: ReadonlyMap<string, StoredTensor>): TensorProducer => ({
  entries: tensors,
  read: async (name) => tensors.get(name)!,
});

describe("writeSafetensors()", () => {
  it("writeSafetensors() writes the same bytes as the Python library, a tensor at a time", async () => {
    const { tensors, metadata } = readSafetensors(await readFile(reference));
    const asked: string[] = [];
    const progress: [number, number][] = [];
    await writeSafetensors(path, {
      entries: new Map([...tensors].reverse()),
      read: async (name) => (asked.push(name), tensors.get(name)!),
    }, { metadata, onProgress: (bytes, total) => progress.push([bytes, total]) });
    const [written, expected] = [await readFile(path), await readFile(reference)];
    assert.deepEqual(written, expected);
    assert.deepEqual(asked, [...tensors.keys()], "each once, in the order of the file");
    const total = [...tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
    assert.deepEqual(progress.at(-1), [total, total]);
    assert.equal(progress.length, tensors.size);
    assert.deepEqual(await readdir(folder), ["model.safetensors"]);
  });

  it("writeSafetensors() copies a file that it reads meanwhile", async () => {
    const { tensors, metadata } = readSafetensors(await readFile(reference));
    await writeSafetensors(path, producer(tensors), { metadata });
    const file = await SafetensorsFile.open(path);
    await writeSafetensors(path, file, { metadata: file.metadata });
    await file.close();
    assert.deepEqual(await readFile(path), await readFile(reference));
  });

  it("writeSafetensors() writes a file without tensors, and the part of a buffer that a tensor views", async () => {
    await writeSafetensors(path, producer(new Map()));
    assert.equal(readSafetensors(await readFile(path)).tensors.size, 0);
    const data = Float32Array.of(9, 1, 2, 9).subarray(1, 3);
    await writeSafetensors(path, producer(new Map([["a", { dtype: "F32", shape: [2], data }]])));
    assert.deepEqual(readSafetensors(await readFile(path)).tensors.get("a")!.data, Float32Array.of(1, 2));
  });

  it("writeSafetensors() leaves the old file and nothing else when a tensor fails", async () => {
    await writeFile(path, "old");
    const entry = { dtype: "F32", shape: [2] } as const;
    const write = (read: () => Promise<StoredTensor>, options = {}) =>
      writeSafetensors(path, { entries: new Map([["a", entry], ["b", entry]]), read }, options);
    const good: StoredTensor = { ...entry, data: Float32Array.of(1, 2) };
    let calls = 0;
    const failure = new Error("of the caller's own");
    const cases: [() => Promise<StoredTensor>, object | Error][] = [
      [async () => {
        if (calls++ > 0) throw failure;
        return good;
      }, failure],
      [async () => ({ ...good, shape: [1, 2] }), {
        name: "TypeError",
        message: /F32 \[2\], got F32 \[1, 2\]/,
      }],
      [async () => ({ dtype: "I32", shape: [2], data: new Int32Array(2) }), {
        name: "TypeError",
        message: /as F32 \[2\], got I32 \[2\]/,
      }],
      [async () => ({ ...good, data: new Float32Array(3) }), {
        name: "TypeError",
        message: /\[2\] must agree with 3 elements/,
      }],
    ];
    for (const [read, expected] of cases) await assert.rejects(write(read), expected);
    const aborter = new AbortController();
    await assert.rejects(
      write(async () => good, { signal: aborter.signal, onProgress: () => aborter.abort(failure) }),
      failure,
    );
    assert.equal(await readFile(path, "utf8"), "old");
    assert.deepEqual(await readdir(folder), ["model.safetensors"]);
  });

  it("writeSafetensors() refuses impossible tensors before it asks for any", async () => {
    const write = (name: string, entry: object) =>
      writeSafetensors(path, {
        entries: new Map([[name, entry as StoredTensor]]),
        read: () => Promise.reject(new Error("was asked")),
      });
    await assert.rejects(write("__metadata__", { dtype: "F32", shape: [] }), /reserved/);
    await assert.rejects(write("a", { dtype: "F8", shape: [] }), {
      name: "TypeError",
      message: /unknown dtype F8/,
    });
    for (const shape of [[-1, -1], [0.5, 2], [2 ** 30, 2 ** 30]]) {
      await assert.rejects(write("a", { dtype: "F32", shape }), {
        name: "TypeError",
        message: /shape must be/,
      });
    }
    await assert.rejects(
      writeSafetensors(join(folder, "absent", "a"), producer(new Map())),
      /^WriteError: Cannot write .* in folder .*ENOENT/,
    );
    assert.deepEqual(await readdir(folder), []);
  });
});
