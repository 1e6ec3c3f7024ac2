import assert from "node:assert/strict";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { HubError, PackageUnavailableError } from "../../src/hub/errors.ts";
import { cacheFolder, withCacheErrors } from "../../src/hub/cache_folder.ts";
import { temporaryFolder } from "../support/temporary_files.ts";

const folder = temporaryFolder();

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

test("withCacheErrors() names the variable that moves the cache, and asks for room where that is what lacks", async () => {
  const full = () => Promise.reject(Object.assign(new Error("full"), { code: "ENOSPC" }));
  await assert.rejects(withCacheErrors("/c", full, { variable: "HF_HUB_CACHE" }), {
    name: "CacheError",
    message:
      "Cannot use the cache folder /c: ENOSPC; free some space, or set HF_HUB_CACHE to a folder that can be read and written",
  });
});

test("withCacheErrors() doesn't mistake what a network or a program refuses for the cache's refusal", async () => {
  const cause = Object.assign(new Error("connect EACCES"), { code: "EACCES" });
  for (
    const error of [
      new HubError("no network", "offline", { cause }),
      new PackageUnavailableError("no npm", "npm", { cause }),
    ]
  ) {
    await assert.rejects(withCacheErrors("/c", () => Promise.reject(error)), error);
  }
});
