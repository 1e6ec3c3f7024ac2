import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readSealed, writeSealed } from "../../../src/hub/files/sealed_file.ts";

test("readSealed() gives what writeSealed() wrote of the same source, and nothing that was changed since", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "federa-sealed-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "texts");
  const text = "one\n\u0000tw\u00f6\n";
  assert.equal(await readSealed(path, "a"), undefined);
  assert.equal(await readSealed(folder, "a"), undefined);
  await writeSealed(path, "a", text);
  assert.equal(await readSealed(path, "a"), text);
  assert.equal(await readSealed(path, "b"), undefined);
  const bytes = await readFile(path);
  for (let length = 0; length < bytes.length; length++) {
    await writeFile(path, bytes.subarray(0, length));
    assert.equal(await readSealed(path, "a"), undefined);
    const altered = Uint8Array.from(bytes);
    altered[length]! ^= 1;
    await writeFile(path, altered);
    assert.equal(await readSealed(path, "a"), undefined);
  }
  await writeSealed(path, "a", "");
  assert.equal(await readSealed(path, "a"), "");
});
