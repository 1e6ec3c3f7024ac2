import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readTuning, tuningPath, writeTuning } from "../../src/cli/tuning_file.ts";
import { CorruptFileError } from "../../src/data/errors.ts";

const folder = await mkdtemp(join(tmpdir(), "federa-tuning-"));
const before = process.env["XDG_CACHE_HOME"];
process.env["XDG_CACHE_HOME"] = folder;
after(async () => {
  if (before === undefined) delete process.env["XDG_CACHE_HOME"];
  else process.env["XDG_CACHE_HOME"] = before;
  await rm(folder, { recursive: true });
});

const adapter = { vendor: "mesa", device: "llvmpipe", description: "one", class: "cpu" } as const;
const tiles = new Map([
  ["NT ab- m large n 512 single", { rows: 16, columns: 24 }],
  ["NN ab- m large n 512 single", { rows: 64, columns: 64, depth: 8 }],
]);

test("readTuning() gives what writeTuning() kept, for the same adapter alone", async () => {
  assert.equal((await readTuning(adapter)).size, 0);
  const path = await writeTuning(adapter, tiles);
  assert.equal(path, tuningPath(adapter));
  assert.ok(path.startsWith(folder));
  assert.deepEqual(await readTuning(adapter), tiles);
  assert.equal((await readTuning({ ...adapter, description: "another" })).size, 0);
});

test("readTuning() names a file that it can't read, and what to do", async () => {
  const path = await writeTuning(adapter, tiles);
  for (const content of ["", "{", "[]", '{"tiles":{"x":{"rows":-1,"columns":8}}}']) {
    await writeFile(path, content);
    await assert.rejects(readTuning(adapter), (error) => {
      assert.ok(error instanceof CorruptFileError);
      assert.match(error.message, /delete the file or tune again/);
      return true;
    });
  }
});
