import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { partitionTable } from "../../src/cli/tables/partition_table.ts";
import { summarizePartition } from "../../src/experiment/partition/summarize_partition.ts";
import { tinyBert, tinyProject } from "../support/tiny_project.ts";
import { federa } from "./federa_command.ts";

test("federa partition prints who holds what, and draws it", async (t) => {
  const folder = await tinyProject(t, {
    ...tinyBert,
    data: { ...tinyBert.data, columns: { key: "sender" } },
    partition: { kind: "grouped-natural-id", groupSize: 3 },
  });
  const drawing = join(folder, "drawing.svg");
  const { code, stdout, stderr } = await federa("partition", join(folder, "config.json"), "-o", drawing);
  assert.deepEqual([code, stderr], [0, ""]);
  // Twelve texts of four senders in turn, every third of them spam.
  assert.ok(
    stdout.endsWith(`
Partition: grouped-natural-id (groupSize 3, mode allow-smaller), draw 1

client  examples  classes  ham  spam
------  --------  -------  ---  ----
     0         9        2    6     3
     1         3        2    2     1

2 clients hold 12 examples: 3 to 9 each, median 6
Distance of label shares from those of all (total variation): mean 0.00, largest 0.00
Effective number of classes (e to the entropy) of 2: mean 1.89, from 1.89 to 1.89

The drawing is in ${drawing}
`),
    stdout,
  );
  assert.match(
    await readFile(drawing, "utf8"),
    /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"[^]*<\/svg>\n$/,
  );
});

test("federa partition --json prints every client with its examples, of the draw that is asked for", async (t) => {
  const folder = await tinyProject(t, {
    ...tinyBert,
    draws: [7, 8],
    partition: { kind: "size", sizes: [4, 2], labelPermutation: true },
  });
  const path = join(folder, "config.json");
  const read = async (...options: string[]) => {
    const { code, stdout } = await federa("partition", path, "--json", ...options);
    assert.equal(code, 0);
    return JSON.parse(stdout) as {
      draw: number;
      numLeftOut: number;
      leftOut: number[];
      clients: { size: number; counts: number[]; examples: number[]; labelPermutation: number[] }[];
    };
  };
  const first = await read();
  assert.equal(first.draw, 7);
  assert.equal(first.numLeftOut, 6);
  assert.deepEqual(first.clients.map(({ examples }) => examples.length), [4, 2]);
  assert.deepEqual(
    [...first.clients.flatMap(({ examples }) => examples), ...first.leftOut].sort((a, b) => a - b),
    [...Array(12).keys()],
  );
  assert.deepEqual(first.clients.map(({ labelPermutation }) => labelPermutation).sort(), [[0, 1], [1, 0]]);
  for (const { size, counts } of first.clients) assert.equal(counts[0]! + counts[1]!, size);
  const other = await read("--draw", "8");
  assert.equal(other.draw, 8);
  assert.notDeepEqual(other.clients, first.clients);
});

test("federa partition refuses dots without classes, and a draw that is no seed", async (t) => {
  const folder = await tinyProject(t, {
    ...tinyBert,
    task: "regression",
    data: { ...tinyBert.data, columns: { value: "size" } },
    partition: { kind: "iid", numClients: 2 },
  });
  const path = join(folder, "config.json");
  const rows = Array.from({ length: 4 }, (_, size) => `${JSON.stringify({ text: "a", size })}\n`).join("");
  await writeFile(join(folder, "train.jsonl"), rows);
  await writeFile(join(folder, "test.jsonl"), rows);
  const dots = await federa("partition", path, "--chart", "bubbles");
  assert.deepEqual([dots.code, dots.stderr], [
    1,
    "Cannot draw bubbles: regression has no classes; draw bars\n",
  ]);
  const draw = await federa("partition", path, "--draw", "1.5");
  assert.equal(draw.code, 1);
  assert.match(draw.stderr, /Expected a whole number from 0 to 2\^53 - 1/);
});

/** Clients with so many examples of each class. */
function summaryOf(counts: readonly (readonly number[])[], classes: readonly string[]) {
  const examples = counts.flatMap((row) =>
    row.flatMap((count, c) => Array.from({ length: count }, () => ({ text: "", label: classes[c]! })))
  );
  let next = 0;
  const clients = counts.map((row) => Array.from({ length: row.reduce((a, b) => a + b) }, () => next++));
  return summarizePartition(examples, { clients, leftOut: [] }, {
    kind: "sequence-classification",
    labels: classes,
  });
}

test("partitionTable() names the most frequent classes where there are too many for columns", () => {
  const classes = Array.from({ length: 8 }, (_, c) => `class ${c}`);
  const table = partitionTable(summaryOf([[0, 5, 0, 1, 0, 7, 1, 0], [0, 0, 0, 0, 0, 0, 0, 1200]], classes));
  assert.equal(
    table,
    `client  examples  classes  most frequent
------  --------  -------  ---------------------------------------
     0        14        4  class 5 7, class 1 5, class 3 1, 1 more
     1     1,200        1  class 7 1,200`,
  );
});

test("partitionTable() shows forty clients and counts the others", () => {
  const table = partitionTable(summaryOf(Array.from({ length: 1040 }, () => [1, 1]), ["a", "b"]));
  const lines = table.split("\n");
  assert.equal(lines.length, 2 + 40 + 1);
  assert.equal(lines.at(-1), "and 1,000 more clients; --json prints all of them");
});
