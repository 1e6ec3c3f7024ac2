import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { installSwiftshader, swiftshaderEnvironment, swiftshaderFolder } from "../../scripts/swiftshader.ts";

test("swiftshaderEnvironment() names the driver and keeps the library path that is set", () => {
  assert.deepEqual(swiftshaderEnvironment("/c/swiftshader", {}), {
    VK_ICD_FILENAMES: "/c/swiftshader/vk_swiftshader_icd.json",
    VK_DRIVER_FILES: "/c/swiftshader/vk_swiftshader_icd.json",
    LD_LIBRARY_PATH: "/c/swiftshader",
  });
  const inherited = swiftshaderEnvironment("/c/swiftshader", { LD_LIBRARY_PATH: "/opt/lib" });
  assert.equal(inherited["LD_LIBRARY_PATH"], "/c/swiftshader:/opt/lib");
});

test("installSwiftshader() uses an unpacked driver without npm and leaves nothing behind when npm fails", async () => {
  const cache = await mkdtemp(join(tmpdir(), "federa-cache-"));
  const options = { cacheFolder: cache, npmCommand: [process.execPath, "-e", "process.exit(1)"] };
  try {
    await assert.rejects(installSwiftshader(options));
    await mkdir(swiftshaderFolder(cache));
    assert.equal(await installSwiftshader(options), swiftshaderFolder(cache));
  } finally {
    await rm(cache, { recursive: true });
  }
});
