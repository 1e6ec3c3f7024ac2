import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseConfig } from "../../../src/experiment/config/parse_config.ts";
import { loadData } from "../../../src/experiment/data/load_data.ts";
import type { TaskKind } from "../../../src/tasks/mod.ts";

const folder = await mkdtemp(join(tmpdir(), "federa-data-"));
after(() => rm(folder, { recursive: true, force: true }));
let written = 0;

/** Writes rows to a file of their own; its path. */
async function file(rows: readonly object[]): Promise<string> {
  const path = join(folder, `rows-${written++}.jsonl`);
  await writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return path;
}

/** Loads data files, and what is said of them. */
async function load(task: TaskKind, data: object) {
  const lines: string[] = [];
  const reporter = { line: (text: string) => lines.push(text), progress: () => {}, endProgress: () => {} };
  const config = parseConfig({
    name: "data",
    task,
    data: { kind: "files", validationShare: 0, ...data },
    partition: { kind: "iid", numClients: 2 },
    methods: [{ method: "fedit", learningRate: 1 }],
    rounds: 1,
  });
  return { ...await loadData(config, { reporter }), lines };
}

const rows = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts).flatMap(([label, count]) =>
    Array.from({ length: count }, (_, i) => ({ text: `text ${i}`, label }))
  );

test("loadData() says how often each class occurs, what is rare, and what may be spellings of one", async () => {
  const train = await file(rows({ ham: 12, spam: 30, Spam: 3, rare: 1 }));
  const { lines, labels } = await load("sequence-classification", {
    train,
    testShare: 0.5,
    labels: ["ham", "spam", "Spam", "rare", "never"],
  });
  assert.deepEqual(labels, ["ham", "spam", "Spam", "rare", "never"]);
  // Half of three and of one are rounded up.
  assert.deepEqual(lines, [
    "Classes to train on: spam: 15, ham: 6, Spam: 1",
    '  only one example of: "Spam"',
    '  no example of: "rare", "never"',
    '  possibly one class: "Spam" (3) and "spam" (30)',
  ]);
});

test("loadData() keeps to a line where there are many classes, and says nothing of numbers and questions", async () => {
  const many = rows(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`intent ${i}`, 2 + i % 3])));
  const { lines } = await load("sequence-classification", { train: await file(many), testShare: 0.3 });
  assert.equal(lines.length, 2);
  assert.ok(lines[0]!.endsWith("more") && lines.every(({ length }) => length <= 80), lines.join("\n"));
  const numbers = [1, 2, 3, 4].map((label) => ({ text: "x", label }));
  assert.deepEqual((await load("regression", { train: await file(numbers), testShare: 0.5 })).lines, []);
});

test("loadData() refuses a label of the test file that no row to train on has, by file and line", async () => {
  const train = await file(rows({ ham: 2, spam: 2 }));
  const odd = await file([{ text: "x", label: "ham" }, { text: "y", label: "spams" }, {
    text: "z",
    label: "c",
  }]);
  await assert.rejects(load("sequence-classification", { train, test: odd }), {
    name: "ConfigError",
    message:
      `Cannot use line 2 of ${odd}: its class "spams" isn't among the labels of data.train: ham, spam; ` +
      `1 more example has such a class; did you mean "spam"?; add it to data.labels to give it an output, or correct the file`,
  });
  const labels = ["ham", "spam", "spams", "c"];
  assert.equal((await load("sequence-classification", { train, test: odd, labels })).test.length, 3);
  await assert.rejects(load("sequence-classification", { train, labels: ["ham", "c"], testShare: 0.5 }), {
    name: "ConfigError",
    message: new RegExp(`Cannot use line 3 of ${train}: its class "spam" isn't among data\\.labels: ham, c;`),
  });

  const hostile = await file([...rows({ ham: 2 }), { text: "x", label: "a\nb\u001b[31m" }]);
  const long = await file([{ text: "x", label: "y".repeat(10_000) }]);
  await assert.rejects(load("sequence-classification", { train: hostile, test: long }), {
    name: "ConfigError",
    message:
      `Cannot use line 1 of ${long}: its class "${"y".repeat(60)}…" isn't among the labels of data.train: ` +
      "a\\nb\\x1b[31m, ham; add it to data.labels to give it an output, or correct the file",
  });

  const tagged = (tags: string[]) => ({ tokens: tags.map(() => "x"), tags });
  const tags = await file([tagged(["O", "B-PER"]), tagged(["O"])]);
  const oddTags = await file([tagged(["O", "B-LOC"])]);
  await assert.rejects(load("token-classification", { train: tags, test: oddTags }), {
    name: "ConfigError",
    message: /line 1 of .*: its tag "B-LOC" isn't among the labels of data\.train: O, B-PER;/,
  });

  const several = (labels: string[]) => ({ text: "x", labels });
  const multi = await file([several(["a", "b"]), several([])]);
  const oddMulti = await file([several([]), several(["a", "c"])]);
  await assert.rejects(load("multi-label-classification", { train: multi, test: oddMulti }), {
    name: "ConfigError",
    message: /line 2 of .*: its label "c" isn't among the labels of data\.train: a, b;/,
  });
});

test("loadData() refuses examples that are all of one class, or have none", async () => {
  const one = await file(rows({ ham: 9 }));
  await assert.rejects(load("sequence-classification", { train: one }), {
    name: "ConfigError",
    message: 'Cannot train: all 7 training examples have the class "ham"; ' +
      "expected at least two classes",
  });
  const none = await file(Array.from({ length: 9 }, () => ({ text: "x", labels: [] })));
  await assert.rejects(load("multi-label-classification", { train: none }), {
    name: "ConfigError",
    message: "Cannot train: none of the 7 training examples has a label",
  });
});
