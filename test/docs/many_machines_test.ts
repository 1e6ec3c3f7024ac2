import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { workerPermissions } from "../../src/network/nats/workers/names.ts";
import { root } from "../support/installed_package.ts";

test("docs/many_machines.md has the permissions that workers are tested with", async () => {
  const page = await readFile(join(root, "docs/many_machines.md"), "utf8");
  for (const [kind, wanted] of Object.entries(workerPermissions("default"))) {
    const [, list = ""] = new RegExp(`${kind}: \\[\\n([^\\]]*)\\]`).exec(page) ?? [];
    assert.deepEqual(list.match(/"[^"]+"/g)?.map((each) => JSON.parse(each)), wanted, kind);
  }
});
