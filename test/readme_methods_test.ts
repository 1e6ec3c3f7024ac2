import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { findTable, formattedMethodsPage, readmeTables } from "../scripts/readme_tables.ts";
import { root } from "./support/installed_package.ts";

for (const [title, expected] of Object.entries(readmeTables)) {
  test(`README's table "${title}" is that of the registry`, async () => {
    const { cells } = findTable(await readFile(join(root, "README.md"), "utf8"), title);
    assert.deepEqual(cells, expected, "npm run readme writes README's tables");
  });
}

test("docs/methods.md is that of the registry", async () => {
  const page = await readFile(join(root, "docs", "methods.md"), "utf8");
  assert.ok(page === formattedMethodsPage(), "npm run readme writes docs/methods.md");
});
