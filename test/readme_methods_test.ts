import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { algorithms, methods } from "../src/fl/mod.ts";
import { root } from "./support/installed_package.ts";

/** The cells of the README's table whose first column has that title, row by row. */
async function tableOf(title: string): Promise<string[][]> {
  const lines = (await readFile(join(root, "README.md"), "utf8")).split("\n");
  const cells = (line: string) => line.slice(1, -1).split("|").map((cell) => cell.trim());
  const head = lines.findIndex((line) => line.startsWith("|") && cells(line)[0] === title);
  assert.notEqual(head, -1, `README has no table of ${title}`);
  const rows = lines.slice(head + 2);
  return rows.slice(0, rows.findIndex((line) => !line.startsWith("|"))).map(cells);
}

function links(papers: readonly string[] = []): string {
  return papers.map((number) => `[${number}](https://arxiv.org/abs/${number})`).join(", ");
}

test("README's table of methods is that of the registry", async () => {
  assert.deepEqual(
    await tableOf("method"),
    [...methods.values()].map(({ definition: { name, trains, server, papers } }) => [
      `\`${name}\``,
      trains,
      server,
      links(papers),
    ]),
  );
});

test("README's table of algorithms is that of the registry", async () => {
  assert.deepEqual(
    await tableOf("algorithm"),
    [...algorithms.values()].map(({ definition: { name, summary, papers } }) => [
      `\`${name}\``,
      summary,
      links(papers),
    ]),
  );
});
