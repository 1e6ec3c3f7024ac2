import assert from "node:assert/strict";
import { relative } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { findDataFiles, type FindDataFilesOptions, readExamples } from "../../../src/data/mod.ts";
import { temporaryFiles } from "../../support/temporary_files.ts";
import { cpuClock } from "../../support/cpu_clock.ts";

/** Finds files in a folder that holds some, and says what it was told. */
async function find(
  files: readonly string[],
  names: string | readonly string[],
  options: FindDataFilesOptions = {},
) {
  const contents = Object.fromEntries(files.map((name) => [name, "text,label\na,b\n"]));
  const folder = (await temporaryFiles({ ...contents, "sub/.keep": "" })).source;
  const notices: string[] = [];
  const onNotice = (notice: string) => notices.push(notice.replaceAll(folder, "F"));
  const within = [names].flat().map((name) => name === "" ? folder : `${folder}/${name}`);
  try {
    const found = await findDataFiles(within, { ...options, onNotice });
    return { found: found.map((path) => relative(folder, path)), notices };
  } catch (error) {
    return { error: (error as Error).message.replaceAll(folder, "F"), notices };
  }
}

const shards = ["a-00000-of-00003.parquet", "a-00001-of-00003.parquet", "a-00002-of-00003.parquet"];

test("findDataFiles() takes all shards where one is named, and misses none", async () => {
  for (const name of shards) {
    const { found, notices } = await find([...shards, "b.parquet"], name);
    assert.deepEqual(found, shards);
    assert.deepEqual(notices, [`Reading 3 files for F/${name}: ${shards[0]} to ${shards[2]}`]);
  }
  assert.deepEqual((await find(shards, shards)).found, shards);
  for (const names of [shards[0]!, ""]) {
    assert.match(
      (await find([shards[0]!, shards[2]!], names)).error ?? "",
      /^Cannot read F\/a-00000-of-00003\.parquet: it is one of 00003 parts, and a-00001-of-00003\.parquet is missing; /,
    );
  }
  assert.match(
    (await find(["a-0-of-9999999999"], "a-0-of-9999999999")).error ?? "",
    /a-1-of-9999999999 is missing/,
  );
});

test("findDataFiles() takes what a pattern matches, in the order of names", async () => {
  const files = ["d/train-2.csv", "d/train-1.csv", "d/test-1.csv", "e/train-1.csv", "d/.train-0.csv"];
  const found = async (pattern: string) => (await find(files, pattern)).found;
  assert.deepEqual(await found("d/train-*.csv"), ["d/train-1.csv", "d/train-2.csv"]);
  assert.deepEqual(await found("?/train-1.*"), ["d/train-1.csv", "e/train-1.csv"]);
  assert.deepEqual(await found("*/*-1.csv"), ["d/test-1.csv", "d/train-1.csv", "e/train-1.csv"]);
  assert.equal(
    (await find(files, "d/dev*")).error,
    "Cannot read F/d/dev*: no file matches; * matches any characters of a name, ? one",
  );
  assert.deepEqual((await find(["a*.csv", "ab.csv"], "a*.csv")).found, ["a*.csv"]);
  assert.match((await find([], "gone.csv")).error ?? "", /^ENOENT/);
});

test("findDataFiles() matches as regular expressions do", async () => {
  const name = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 6 });
  const pattern = fc.string({ unit: fc.constantFrom("a", "b", "*", "?"), minLength: 1, maxLength: 6 });
  const folder =
    (await temporaryFiles(Object.fromEntries(fc.sample(name, 40).map((each) => [each, ""])))).source;
  const all = await findDataFiles(`${folder}/*`);
  await fc.assert(fc.asyncProperty(pattern.filter((text) => /[*?]/.test(text)), async (text) => {
    const expression = new RegExp(`/${text.replaceAll("*", "[^/]*").replaceAll("?", "[^/]")}$`);
    const expected = all.filter((path) => expression.test(path));
    assert.deepEqual(await findDataFiles(`${folder}/${text}`).catch(() => []), expected);
  }));
  const seconds = cpuClock();
  await findDataFiles(`${folder}/${"*a".repeat(2000)}*b`).catch(() => []);
  assert.ok(seconds() < 5);
});

test("findDataFiles() takes the data of a folder, if they are of one kind", async () => {
  const folder = await find(["b.csv", "a.csv", "c.json", "README.md", ".x.csv", "dataset_info.json"], "");
  assert.deepEqual(folder.found, ["a.csv", "b.csv"]);
  assert.deepEqual(folder.notices, [
    "Ignored in F: README.md, c.json, dataset_info.json",
    "Reading 2 files for F: a.csv to b.csv",
  ]);
  assert.deepEqual((await find(["a.json", "dataset_info.json"], "")).found, ["a.json"]);
  assert.deepEqual((await find(["part-0", "part-1"], "", { format: "csv" })).found, ["part-0", "part-1"]);
  assert.equal((await find(["a.md"], "")).error, "Cannot read F: it is a folder without data files");
  // Dataset.save_to_disk() of datasets.
  assert.equal(
    (await find(["data-00000-of-00001.arrow", "dataset_info.json", "state.json"], "")).error,
    "Cannot read F: it is a folder without data files; there is data-00000-of-00001.arrow, but Arrow files aren't read; " +
      "write Parquet, as datasets, pandas and polars do",
  );
  assert.equal(
    (await find(["a.csv", "b.parquet"], "")).error,
    "Cannot read F: it holds files of several formats, csv and parquet; choose those to read with a pattern such as *.csv",
  );
  assert.equal(
    (await find(["train-1.csv", "my_test.csv"], "")).error,
    "Cannot read F: it holds files of several parts, test and train; choose those to read with a pattern such as F/test*.csv",
  );
});

test("findDataFiles() gives each file once, for readExamples() to read", async () => {
  const files = await temporaryFiles({ "a.csv": "text,label\na,x\n", "b.csv": "text,label\nb,y\n" });
  const found = await findDataFiles([`${files.source}/*.csv`, `${files.source}/a.csv`]);
  const examples = await readExamples(found, "sequence-classification");
  assert.deepEqual(examples.map(({ text }) => text), ["a", "b"]);
});
