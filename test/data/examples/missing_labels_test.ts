import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { readExamples } from "../../../src/data/mod.ts";
import { readFile as read } from "./read_file.ts";

const classes = "sequence-classification";
const advice = 'fill it in, or set missingLabels to "drop" to leave such examples out';

test("readExamples() refuses an example without a label by its line", async () => {
  assert.equal(
    (await read(classes, ["d.csv", "text,label\na,neg\nb,\n"])).error,
    `Cannot read line 3 of d.csv: column label must have a label, got ""; ${advice}`,
  );
  // What pandas' read_csv takes for missing, and a cell of spaces, which it doesn't.
  for (
    const word of ["  ", "NaN", "nan", "NA", "N/A", "n/a", "<NA>", "null", "NULL", "None", "#N/A", "-nan"]
  ) {
    const { error } = await read(classes, ["d.csv", `text,label\na,neg\n\nb,${word}\n`]);
    assert.match(error ?? "", /^Cannot read line 4 of d\.csv: column label must have a label, got "/, word);
  }
  assert.equal(
    (await read(classes, ["d.csv", "text,label\nb,NA\n"])).error,
    `Cannot read line 2 of d.csv: column label must have a label, got "NA"; ${advice}, or, if "NA" is a class, name all ` +
      "classes in labels",
  );
  for (const label of ["null", '""', '" "', '"NaN"', undefined]) {
    const row = label === undefined ? '{"text":"b"}' : `{"text":"b","label":${label}}`;
    const { error } = await read(classes, ["d.jsonl", `{"text":"a","label":"x"}\n${row}\n`]);
    assert.match(error ?? "", /^Cannot read line 2 of d\.jsonl: column label must have a label, got /, row);
  }
});

test("readExamples() drops examples without a label on request, and says how many", async () => {
  const options = { missingLabels: "drop" } as const;
  const { examples, notices } = await read(
    classes,
    ["d.csv", "text,label\na,neg\nb,\nc,pos\nd,  \ne,NaN\nf,NA\ng, pos\n"],
    options,
  );
  assert.deepEqual(examples, [
    { text: "a", label: "neg" },
    { text: "c", label: "pos" },
    { text: "g", label: " pos" },
  ]);
  assert.deepEqual(notices, ["Dropped 4 of 7 examples without a label, the first at line 3 of d.csv"]);
  assert.equal(
    (await read(classes, ["d.csv", "text,label\na,\n"], options)).error,
    "Cannot read examples: none of 1 has a label, for example line 2 of d.csv",
  );
});

test("readExamples() takes a word for a class where it is named as one, or the format has texts as such", async () => {
  const named = await read(classes, ["d.csv", "text,label\na,None\nb,x\n"], { labels: ["None", "x"] });
  assert.deepEqual(named.examples?.map(({ label }) => label), ["None", "x"]);
  // As `datasets` reads it.
  const json = await read(classes, ["d.jsonl", '{"text":"a","label":"None"}\n{"text":"b","label":"NA"}\n']);
  assert.deepEqual(json.examples?.map(({ label }) => label), ["None", "NA"]);
});

test("readExamples() finds missing numbers, tags and labels of lists and columns", async () => {
  const missing = /^Cannot read line 2 of d\.\w+: column (\w+) must have a label( at item 1)?, got /;
  for (
    const [kind, file, columns] of [
      ["regression", ["d.csv", "text,label\na,nan\n"], {}],
      ["regression", ["d.csv", "text,label\na,\n"], {}],
      ["token-classification", ["d.jsonl", '\n{"tokens":["a"],"tags":[null]}\n'], {}],
      ["token-classification", ["d.jsonl", '\n{"tokens":["a"],"tags":[""]}\n'], {}],
      ["token-classification", ["d.jsonl", '{"tokens":[],"tags":[]}\n{"tokens":["a"]}\n'], {}],
      ["multi-label-classification", ["d.jsonl", '\n{"text":"a","labels":[null,"x"]}\n'], {}],
      ["multi-label-classification", ["d.jsonl", '\n{"text":"a","labels":null}\n'], {}],
      ["multi-label-classification", ["d.csv", "text,x,y\na,1,\n"], { labelColumns: ["x", "y"] }],
      ["multi-label-classification", ["d.csv", "text,labels\na,NaN\n"], { separator: ";" }],
    ] as const
  ) {
    assert.match((await read(kind, file, { columns })).error ?? "", missing, file[1]);
    const { error, notices } = await read(kind, [file[0], `${file[1]}`], { columns, missingLabels: "drop" });
    assert.match(
      error ?? notices[0]!,
      /^Cannot read examples: none of \d has a label|^Dropped 1 of 2/,
      file[1],
    );
  }
  const kind = "multi-label-classification";
  const none = await read(kind, ["d.csv", 'text,labels\na,""\n'], { columns: { separator: ";" } });
  assert.deepEqual(none.examples, [{ text: "a", labels: [] }]);
  const floats = await read(kind, ["d.csv", "text,x,y\na,1.0,0.0\n"], {
    columns: { labelColumns: ["x", "y"] },
  });
  assert.deepEqual(floats.examples, [{ text: "a", labels: ["x"] }]);
});

test("readExamples() says how many texts are empty, and refuses empty and inexact keys", async () => {
  const { notices } = await read(classes, ["d.csv", "text,label\na,x\n,y\n  ,z\n"]);
  assert.deepEqual(notices, ["Empty texts: 2 of 3 examples, the first at line 3 of d.csv"]);
  const keyed = (key: string) =>
    read(classes, ["d.jsonl", `{"text":"a","label":"x","key":${key}}`], { columns: { keyColumn: "key" } });
  for (const key of ['""', "null", "1e400", "[1]"]) {
    assert.match(
      (await keyed(key)).error ?? "",
      /^Cannot read line 1 of .*: column key must be text or a number/,
      key,
    );
  }
  assert.match(
    (await keyed("1e300")).error ?? "",
    /must be text, or a number that is kept exactly, got 1e\+300/,
  );
});

test("readExamples() reads the types of Parquet that pandas writes", async () => {
  // Made by generate_labels.py: f is [0, 1, NaN, 1], b is [True, False, None, True], i is [0, 1, -1, 2], lab is a
  // categorical.
  const path = fileURLToPath(new URL("../../golden/data/label_types.parquet", import.meta.url));
  const labels = async (labelColumn: string) =>
    (await readExamples(path, classes, { columns: { labelColumn }, missingLabels: "drop" })).map((
      { label },
    ) => label);
  assert.deepEqual(await labels("lab"), ["x", "y", "x", "y"]);
  assert.deepEqual(await labels("f"), ["0", "1", "1"]);
  assert.deepEqual(await labels("b"), ["true", "false", "true"]);
  assert.deepEqual(await labels("i"), ["0", "1", "-1", "2"]);
  for (const labelColumn of ["f", "b"]) {
    await assert.rejects(readExamples(path, classes, { columns: { labelColumn } }), {
      message: new RegExp(
        `^Cannot read row 3 of .*: column ${labelColumn} must have a label, got (NaN|null); fill`,
      ),
    });
  }
});

test("readExamples() gives the classes in the order that datasets numbers them", async () => {
  // Made by generate_labels.py: ClassLabel of 12 names in reverse order, of which "c01" doesn't occur, and -1 for an unknown one.
  const path = fileURLToPath(new URL("../../golden/data/class_label.parquet", import.meta.url));
  let classNames: readonly string[] = [];
  const onClassNames = (names: readonly string[]) => classNames = names;
  const options = { onClassNames, missingLabels: "drop" } as const;
  const examples = await readExamples(path, classes, options);
  assert.deepEqual(classNames, Array.from({ length: 12 }, (_, i) => `c${String(12 - i).padStart(2, "0")}`));
  assert.deepEqual(examples.map(({ label }) => label), ["c12", "c03", "c10", "c02"]);
  await readExamples(path, "token-classification", { ...options, columns: { tagsColumn: "ner" } });
  assert.deepEqual(classNames, ["O", "B-Z", "B-A"]);
  await assert.rejects(readExamples(path, classes), {
    message: /^Cannot read row 5 of .*: column label must have a label, got -1; fill/,
  });
});
