import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { HubError } from "../../../src/hub/errors.ts";
import { openModelFiles } from "../../../src/hub/mod.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "federa-folder-"));
  await mkdir(join(folder, "model", "1_Pooling"), { recursive: true });
  await writeFile(join(folder, "model", "config.json"), "{}");
  await writeFile(join(folder, "model", "1_Pooling", "config.json"), "{}");
  await writeFile(join(folder, "secret"), "x");
  await symlink(join(folder, "secret"), join(folder, "model", "linked"));
});
after(() => rm(folder, { recursive: true }));

test("openModelFiles() opens a folder, by path or address", async () => {
  const path = join(folder, "model");
  for (const spec of [path, `${path}/`, pathToFileURL(path).href]) {
    const model = await openModelFiles(spec);
    assert.equal(model.source, spec.startsWith("file:") ? path : spec);
    assert.equal(await model.path("config.json"), join(path, "config.json"));
    assert.equal(await model.path("1_Pooling/config.json"), join(path, "1_Pooling", "config.json"));
    // A snapshot of the hub's cache is such a folder.
    assert.equal(await model.path("linked"), join(path, "linked"));
    assert.equal(await model.has("1_Pooling/config.json"), true);
    for (const name of ["none", "1_Pooling", "config.json/none"]) {
      assert.equal(await model.path(name), undefined);
      assert.equal(await model.has(name), false);
    }
    for (const name of ["../secret", "a/../../secret", join(folder, "secret")]) {
      await assert.rejects(model.path(name), { name: "HubError", reason: "invalid" });
    }
  }
});

test("openModelFiles() says that there is no folder of a name that no file can have", async () => {
  await assert.rejects(openModelFiles("models/a\0b"), {
    name: "HubError",
    message: /^Cannot open model "models\/a\\u0000b": there is no such folder/,
  });
});

test("openModelFiles() says that a folder is missing, and what else could be meant", async () => {
  const cases: [string, RegExp][] = [
    ["owner/name", /no such folder; write hf:owner\/name for the model of that name on the hub/],
    ["./owner/name", /no such folder; a model is a folder, hf:owner\/name or npm:package@version/],
    ["https://huggingface.co/owner/name/tree/main", /no such folder; write hf:owner\/name for the model/],
    [
      "https://ada:secret@hub.example/owner/name",
      /Cannot open model "https:\/\/…@hub\.example\/owner\/name"/,
    ],
    ["https://hub.example/", /no such folder; a model is a folder/],
    ["s3:bucket", /Cannot open model "s3:bucket": there is no such folder; a model is a folder/],
    ["", /Cannot open model ""/],
    [join(folder, "secret"), /it is not a folder; a model is/],
    [join(folder, "secret", "below"), /no such folder/],
  ];
  for (const [spec, message] of cases) {
    await assert.rejects(openModelFiles(spec), (error) => {
      assert.ok(error instanceof HubError && error.reason === "not-found");
      assert.match(error.message, message);
      return true;
    });
  }
  await assert.rejects(openModelFiles("file:relative/model"), { name: "HubError" });
});
