import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { cacheFolder, withCacheErrors } from "../../src/data/cache_folder.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "federa-cache-"));
});
after(() => rm(folder, { recursive: true }));

test("cacheFolder() follows XDG_CACHE_HOME where it is an absolute path", (t) => {
  const before = process.env["XDG_CACHE_HOME"];
  t.after(() => {
    if (before === undefined) delete process.env["XDG_CACHE_HOME"];
    else process.env["XDG_CACHE_HOME"] = before;
  });
  process.env["XDG_CACHE_HOME"] = folder;
  assert.equal(cacheFolder(), join(folder, "federa"));
  for (const value of ["", "relative/path"]) {
    process.env["XDG_CACHE_HOME"] = value;
    assert.equal(cacheFolder(), join(homedir(), ".cache", "federa"));
  }
});

test("withCacheErrors() names the folder when the file system refuses, and lets other errors through", async () => {
  const refuse = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }));
  await assert.rejects(withCacheErrors("/some/folder", refuse("EROFS")), {
    name: "CacheError",
    message:
      "Cannot use the cache folder /some/folder: EROFS; set XDG_CACHE_HOME to a folder that can be read and written",
  });
  await assert.rejects(withCacheErrors("/some/folder", refuse("ENOENT")), {
    name: "Error",
    message: "ENOENT",
  });
  assert.equal(await withCacheErrors("/some/folder", () => Promise.resolve(5)), 5);
});
