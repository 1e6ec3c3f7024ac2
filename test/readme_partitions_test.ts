import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { partitioners } from "../src/data/mod.ts";
import { parseConfig } from "../src/experiment/config/parse_config.ts";
import { root } from "./support/installed_package.ts";

test("README's table of partitions is that of the registry, and its examples are valid", async () => {
  const readme = await readFile(join(root, "README.md"), "utf8");
  const section = readme.slice(readme.indexOf("## Partitions"), readme.indexOf("## Methods"));
  const rows = [...section.matchAll(/^\| `(\{.*\})` +\| (.*?) +\|$/gm)].map(([, json, summary]) => ({
    ...JSON.parse(json!) as object,
    summary,
  }));
  assert.deepEqual(rows, partitioners.map(({ kind, example, summary }) => ({ kind, ...example, summary })));
  for (const { summary: _, ...partition } of rows) {
    const { kind } = partition as unknown as { kind: string };
    const task = kind === "continuous" ? "regression" : "sequence-classification";
    const config = parseConfig({
      name: "x",
      task,
      data: { kind: "files", train: "x.csv", columns: { key: "k" } },
      partition,
      methods: [{ method: "fedit", learningRate: 1 }],
      rounds: 1,
    });
    assert.equal(config.partition.kind, kind);
  }
});
