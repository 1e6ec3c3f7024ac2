import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { readConfig } from "../../../src/experiment/config/parse_config.ts";
import { loadData } from "../../../src/experiment/data/load_data.ts";
import type { Reporter } from "../../../src/experiment/report/reporter.ts";
import { temporaryFiles } from "../../support/temporary_files.ts";

/** What a run would train on, by a configuration's data, beside files. */
async function load(files: Readonly<Record<string, string>>, data: object, task = "sequence-classification") {
  const folder = (await temporaryFiles(files)).source;
  const path = join(folder, "c.json");
  await writeFile(
    path,
    JSON.stringify({
      name: "r",
      task: { kind: task },
      data: { kind: "files", validationShare: 0, testShare: 0.5, ...data },
      partition: { kind: "iid", numClients: 2 },
      methods: [{ method: "federa", learningRate: 0.001 }],
      rounds: 1,
    }),
  );
  const lines: string[] = [];
  const reporter: Reporter = {
    line: (text: string) => lines.push(text.replaceAll(`${folder}/`, "").replaceAll(folder, "F")),
  } as never;
  try {
    const { labels, train, test } = await loadData(await readConfig(path), { reporter });
    return { labels, size: train.length + test.length, lines };
  } catch (error) {
    return { error: (error as Error).message.replaceAll(`${folder}/`, ""), lines };
  }
}

const rows = (labels: readonly unknown[]) =>
  labels.map((label) => JSON.stringify({ text: "a", label })).join("\n");

test("loadData() numbers classes by value, or as the files do", async () => {
  const numbers = Array.from({ length: 12 }, (_, i) => i);
  const twice = [...numbers, ...numbers];
  // sorted() of Python's integers, as class_encode_column of datasets has them.
  assert.deepEqual(
    (await load({ "d.jsonl": rows(twice) }, { train: "d.jsonl" })).labels,
    numbers.map(String),
  );
  assert.deepEqual(
    (await load({ "d.csv": `text,label\n${twice.map((i) => `a,${i}\n`).join("")}` }, {
      train: "d.csv",
    })).labels,
    numbers.map(String),
  );
  const golden = fileURLToPath(new URL("../../golden/data/class_label.parquet", import.meta.url));
  const { labels, size, lines } = await load({}, {
    train: golden,
    test: golden,
    missingLabels: "drop",
  });
  assert.deepEqual(
    labels,
    [..."98765432101"].map((_, i) => `c${String(12 - i).padStart(2, "0")}`).concat("c01"),
  );
  assert.equal(size, 8);
  assert.equal(lines[0], `Dropped 1 of 5 examples without a label, the first at row 5 of ${golden}`);
  const chosen = { columns: { labels: ["z", "a"] } };
  const several = "multi-label-classification";
  const table = { "d.csv": "text,z,a\nx,1,0\ny,1,0\n" };
  assert.deepEqual((await load(table, { train: "d.csv", ...chosen }, several)).labels, [
    "z",
    "a",
  ]);
});

test("loadData() reads files as the configuration says, and tells what it found", async () => {
  const table = { "d.csv": 'text;label\n"a;b";None\nc;x\nd;\ne;None\nf;x\n' };
  const data = { train: "d.csv", missingLabels: "drop", labels: ["None", "x"] };
  const found = await load(table, data);
  assert.deepEqual([found.size, found.labels], [4, ["None", "x"]]);
  assert.deepEqual(found.lines.slice(0, 2), [
    "d.csv: values are separated by semicolons, not commas; set delimiter if that is wrong",
    "Dropped 1 of 5 examples without a label, the first at line 4 of d.csv",
  ]);
  const { error } = await load(table, { ...data, labels: undefined, missingLabels: undefined });
  assert.match(
    error ?? "",
    /^Cannot read line 2 of d\.csv: column label must have a label, got "None"; .*name all classes/,
  );
  assert.match(
    (await load(table, { train: "d.csv", encoding: "utf-9", delimiter: "ab" })).error ?? "",
    /data\.delimiter: expected one character.*\n {2}data\.encoding: expected the name of an encoding.*got "utf-9"; did you mean "utf-8"/s,
  );
});

test("loadData() reads lists, folders, patterns and shards", async () => {
  const files = {
    "d/a-00000-of-00002.jsonl": rows(["x", "y"]),
    "d/a-00001-of-00002.jsonl": rows(["x", "y"]),
    "t.jsonl": rows(["x"]),
  };
  for (const train of ["d", "d/a-*.jsonl", "d/a-00001-of-00002.jsonl", ["d/a-00000-of-00002.jsonl", "d"]]) {
    const { size, lines } = await load(files, { train, test: "t.jsonl" });
    assert.equal(size, 5);
    assert.match(lines[0]!, /^Reading 2 files for .*: a-00000-of-00002\.jsonl to a-00001-of-00002\.jsonl$/);
  }
  assert.deepEqual(
    (await load(files, { train: ["t.jsonl", "d"], test: "t.jsonl" })).lines.at(-2),
    "These files are both trained on and tested on: t.jsonl",
  );
  assert.match(
    (await load(files, { train: "e/*.jsonl" })).error ?? "",
    /^Cannot read e\/\*\.jsonl: no file matches/,
  );
  assert.match(
    (await load(files, { train: "gone.jsonl" })).error ?? "",
    /^Cannot read examples: ENOENT.*gone\.jsonl/,
  );
});
