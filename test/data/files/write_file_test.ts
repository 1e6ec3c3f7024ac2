import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { makeFolder, writeFileAtomic } from "../../../src/data/files/write_file.ts";
import { temporaryFolder } from "../../support/temporary_files.ts";

describe("writeFileAtomic()", () => {
  const folder = temporaryFolder();

  it("writeFileAtomic() writes bytes and text, and replaces what was there", async () => {
    const path = join(folder, "a.bin");
    await writeFileAtomic(path, Uint8Array.of(1, 2, 3).subarray(1));
    assert.deepEqual([...await readFile(path)], [2, 3]);
    await writeFileAtomic(path, "é");
    assert.equal(await readFile(path, "utf8"), "é");
    assert.deepEqual(await readdir(folder), ["a.bin"]);
  });

  it("writeFileAtomic() shows a reader the old content or the new, never a part", async () => {
    const path = join(folder, "shared.bin");
    const size = 4 << 20;
    await writeFileAtomic(path, new Uint8Array(size).fill(255));
    let writing = true;
    const writer = (async () => {
      for (let i = 0; i < 12; i++) await writeFileAtomic(path, new Uint8Array(size).fill(i));
      writing = false;
    })();
    let reads = 0;
    for (; writing; reads++) {
      const content = await readFile(path);
      assert.equal(content.length, size);
      assert.ok(content.equals(new Uint8Array(size).fill(content[0]!)), "two writes are mixed");
    }
    await writer;
    assert.ok(reads > 1);
    await rm(path);
  });

  it("writeFileAtomic() lets two writers of one path both finish", async () => {
    const path = join(folder, "race.txt");
    await Promise.all(["one", "two", "three"].map((text) => writeFileAtomic(path, text)));
    assert.match(await readFile(path, "utf8"), /^(one|two|three)$/);
    await rm(path);
  });

  it("writeFileAtomic() names the path it cannot write, and leaves nothing behind", async () => {
    const missing = join(folder, "missing", "a.bin");
    await assert.rejects(writeFileAtomic(missing, "x"), (error) => {
      assert.ok(error instanceof Error && error.message.startsWith(`Cannot write ${missing} in folder`));
      assert.equal((error.cause as NodeJS.ErrnoException).code, "ENOENT");
      return true;
    });
    const file = join(folder, "file");
    await writeFile(file, "");
    await assert.rejects(writeFileAtomic(join(file, "a.bin"), "x"), /Cannot write .*ENOTDIR/);
    const taken = join(folder, "taken");
    await mkdir(taken);
    await assert.rejects(writeFileAtomic(taken, "x"), /Cannot write .*(EISDIR|EPERM|EEXIST|ENOTEMPTY)/);
    assert.deepEqual((await readdir(folder)).filter((name) => name.endsWith(".tmp")), []);
  });
});

describe("makeFolder()", () => {
  const folder = temporaryFolder();

  it("makeFolder() makes what is missing, and lets be what is there, several at once too", async () => {
    const path = join(folder, "a", "b", "c");
    await Promise.all([1, 2, 3, 4].map(() => makeFolder(path)));
    await makeFolder(path);
    assert.deepEqual(await readdir(join(folder, "a", "b")), ["c"]);
  });

  it("makeFolder() refuses a path through a file, and a file in its place", async () => {
    await writeFile(join(folder, "file"), "");
    await assert.rejects(makeFolder(join(folder, "file")), { code: "EEXIST" });
    await assert.rejects(makeFolder(join(folder, "file", "below")), { code: "ENOTDIR" });
  });

  it("makeFolder() ends where a file system lets nobody make folders", {
    skip: process.platform !== "linux" && "/proc is Linux's",
  }, async () => {
    await assert.rejects(makeFolder("/proc/federa/runs"), { code: "ENOENT" });
  });
});
