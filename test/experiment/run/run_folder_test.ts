import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { demoConfig } from "../../../src/cli/demo/demo.ts";
import { parseConfig } from "../../../src/experiment/config/parse_config.ts";
import { createRunFolder, readRunConfig, removeTemporaries } from "../../../src/experiment/run/run_folder.ts";

test("createRunFolder() numbers folders, also for two runs at once", async (t) => {
  const output = await mkdtemp(join(tmpdir(), "federa-runs-"));
  t.after(() => rm(output, { recursive: true }));
  const config = { ...parseConfig(demoConfig()), output };
  const folders = await Promise.all([
    createRunFolder(config),
    createRunFolder(config),
    createRunFolder(config),
  ]);
  assert.deepEqual(folders.sort(), ["demo-001", "demo-002", "demo-003"].map((name) => join(output, name)));
  assert.deepEqual(JSON.parse(await readFile(join(folders[0]!, "config.json"), "utf8")), config);
});

test("createRunFolder() says which folder cannot be written", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "federa-runs-"));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "file"), "");
  const output = join(folder, "file", "runs");
  await assert.rejects(createRunFolder({ ...parseConfig(demoConfig()), output }), {
    name: "RunFolderError",
    message:
      /^Cannot write a run into folder .*file\/runs: ENOTDIR.*; set "output" to a folder that can be written$/,
  });
});

test("readRunConfig() takes the folder of a run, renamed too, and refuses others", async (t) => {
  const output = await mkdtemp(join(tmpdir(), "federa-runs-"));
  t.after(() => rm(output, { recursive: true }));
  const config = { ...parseConfig(demoConfig()), output };
  const folder = await createRunFolder(config);
  assert.deepEqual(await readRunConfig(folder), config);
  const moved = join(output, "kept");
  await rename(folder, moved);
  // A project's folder has a configuration too, and runs below.
  await mkdir(join(moved, "runs", "demo-001", "fedit"), { recursive: true });
  await writeFile(join(moved, "runs", "demo-001", "fedit", "history.jsonl"), "");
  await assert.rejects(readRunConfig(moved), {
    name: "ConfigError",
    message: /kept: no method has begun in it; give/,
  });
  await mkdir(join(moved, "fedit"));
  await writeFile(join(moved, "fedit", "history.jsonl"), "");
  assert.deepEqual(await readRunConfig(moved), config);
  await assert.rejects(readRunConfig(output), {
    name: "ConfigError",
    message: /it has no config\.json; give/,
  });
  await assert.rejects(readRunConfig(join(moved, "config.json")), {
    message: /config\.json: it is a file; give/,
  });
  await writeFile(join(moved, "fedit", "x.safetensors.0123456789ab.tmp"), "");
  await removeTemporaries(moved);
  await assert.rejects(readFile(join(moved, "fedit", "x.safetensors.0123456789ab.tmp")), { code: "ENOENT" });
});
