import assert from "node:assert/strict";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { statIfPresent } from "../../../src/data/files/absence.ts";

test("statIfPresent() gives undefined for what isn't there, and throws where it can't tell", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "federa-absence-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, "file"), "abc");
  assert.equal((await statIfPresent(join(folder, "file")))?.size, 3);
  for (const missing of ["none", "file/inside", "a\0b", "x".repeat(5000)]) {
    assert.equal(await statIfPresent(join(folder, missing)), undefined);
  }
  await symlink("loop", join(folder, "loop"));
  await assert.rejects(statIfPresent(join(folder, "loop")), { code: "ELOOP" });
});
