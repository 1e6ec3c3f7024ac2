import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hubHash } from "../../../src/hub/hugging_face/_blob_check.ts";

test("hubHash() is what git and sha256sum print", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "federa-hash-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "file");
  // `git hash-object` and `sha256sum` of an empty file and of one with "hello\n".
  const known = {
    "": [
      "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ],
    "hello\n": [
      "ce013625030ba8dba906f756967f9e9ca394464a",
      "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
    ],
  };
  for (const [text, hashes] of Object.entries(known)) {
    await writeFile(path, text);
    for (const hash of hashes) assert.equal(await hubHash(path, hash), hash);
  }
});
