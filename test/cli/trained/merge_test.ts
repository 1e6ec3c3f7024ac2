import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { mergeModel } from "../../../src/cli/trained/merge.ts";
import { KeepingReporter } from "../../experiment/trained/adapted_model.ts";

test("mergeModel() leaves a config.json that is none of a model alone, and says so before anything is opened", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "federa-merge-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "config.json");
  for (const text of ['{"name": "reviews", "rounds": 2}', "not even JSON", "[]"]) {
    await writeFile(path, text);
    await assert.rejects(
      mergeModel(join(folder, "no-model"), { output: folder, reporter: new KeepingReporter() }),
      { name: "ConfigError", message: /the config\.json there is none of a model and would be replaced/ },
    );
    assert.equal(await readFile(path, "utf8"), text);
  }
});
