import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readExamples, readRows, type ReadRowsOptions } from "../../../../src/data/mod.ts";
import { temporaryFiles } from "../../../support/temporary_files.ts";

async function read(content: string, options: ReadRowsOptions = {}, name = "d.json") {
  const path = (await (await temporaryFiles({ [name]: content })).path(name))!;
  const plain = (text: string) => text.replaceAll(path, name);
  const notices: string[] = [];
  try {
    const set = await readRows(path, { ...options, onNotice: (notice) => notices.push(plain(notice)) });
    return { rows: set.rows, places: set.rows.map((_, i) => plain(set.place(i))), notices };
  } catch (error) {
    return { error: plain((error as Error).message), notices };
  }
}

const columns = ["text", "label"];
const rows = [{ text: "a", label: "x" }, { text: "b", label: "y" }];
const [first, second] = rows.map((row) => JSON.stringify(row));

test("readRows() reads objects of a .json file that follow each other, as datasets does", async () => {
  const sequences: [string, number[]][] = [
    [`${first}\n${second}\n`, [1, 2]],
    [`${first}\r\n\r\n${second}`, [1, 3]],
    [`\ufeff${first}\n\ufeff${second}\n`, [1, 2]],
    [JSON.stringify(rows[0], null, 1) + "\n" + JSON.stringify(rows[1], null, 1), [1, 5]],
    [`${first}${second}`, [1, 1]],
  ];
  for (const [content, lines] of sequences) {
    const result = await read(content, { columns });
    assert.deepEqual(result.rows, rows, content);
    assert.deepEqual(result.places, lines.map((line) => `line ${line} of d.json`));
  }
  assert.deepEqual((await read(first!, { columns })).rows, [rows[0]]);
});

test("readRows() names the line of a .json file that is no object", async () => {
  const errors: [string, string][] = [
    [`${first}\n{"text":"b","la`, 'Cannot read line 2 of d.json: not JSON, got {"text":"b","la'],
    [`${first},\n${second}`, `Cannot read line 1 of d.json: not JSON, got ,\\n${second}`],
    [`${first}\n\n[1]`, "Cannot read line 3 of d.json: expected an object, got [1]"],
    [`[${first},\n${second},\n]`, "Cannot read line 3 of d.json: it is not JSON"],
    [" \n", "Cannot read d.json: it is empty, not JSON"],
  ];
  for (const [content, error] of errors) assert.equal((await read(content)).error, error);
});

test("readRows() gives back any rows that were written one after another", async () => {
  const values = fc.record({
    text: fc.string({ unit: "binary" }),
    n: fc.integer(),
    list: fc.array(fc.string()),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(values, { minLength: 2, maxLength: 4 }), fc.nat(2), async (all, indent) => {
      const content = all.map((value) => JSON.stringify(value, null, indent)).join("\n");
      // What can't be written in UTF-8 comes back as U+FFFD.
      const expected = JSON.parse(JSON.stringify(all).toWellFormed());
      assert.deepEqual((await read(content)).rows, expected);
    }),
    { numRuns: 30 },
  );
});

test("readRows() reads the tables that pandas' to_json() writes", async () => {
  // df = DataFrame({"text": ["a", "b"], "label": ["x", "y"]}); df.to_json(orient=…)
  const written = {
    columns: '{"text":{"0":"a","1":"b"},"label":{"0":"x","1":"y"}}',
    index: '{"0":{"text":"a","label":"x"},"1":{"text":"b","label":"y"}}',
    split: '{"columns":["text","label"],"index":[0,1],"data":[["a","x"],["b","y"]]}',
    table: `{"schema":{"fields":[{"name":"index","type":"integer"}]},"data":[${first},${second}]}`,
    records: `[${first},${second}]`,
    list: '{"text":["a","b"],"label":["x","y"]}',
  };
  for (const [orient, content] of Object.entries(written)) {
    const result = await read(content, { columns });
    assert.deepEqual(result.rows, rows, orient);
    assert.deepEqual(result.places, ["row 1 of d.json", "row 2 of d.json"]);
    assert.deepEqual(
      result.notices,
      orient === "index" ? ["d.json: each value of the object is a row; their names are left out"] : [],
    );
  }
  assert.deepEqual((await read(written.columns)).rows, rows);
});

test("readRows() refuses columns that don't fit together", async () => {
  const errors: [string, string][] = [
    [
      '{"text":["a","b"],"label":["x"]}',
      'columns of one form and length, got "text" with 2 values and "label" with 1',
    ],
    ['{"text":{"0":"a"},"label":{"1":"x"}}', 'a value "0" in column "label", as in "text", got none'],
    ['{"columns":["text","label"],"data":[["a"]]}', "2 values in row 1 of data, as columns has, got 1"],
    [
      `{"train":[${first}],"test":[${second}]}`,
      'one list of objects, got several, "train", "test"; write each to a file of its own',
    ],
  ];
  for (const [content, error] of errors) {
    assert.equal((await read(content, { columns })).error, `Cannot read d.json: expected ${error}`);
  }
  assert.equal(
    (await read('[["a","x"]]', { columns })).error,
    'Cannot read row 1 of d.json: expected an object, got ["a", "x"]',
  );
});

test("readRows() finds the one list of objects in a document, and says which", async () => {
  const { rows: found, notices } = await read(`{"version":1,"train":[${first},${second}],"tags":["x"]}`, {
    columns,
  });
  assert.deepEqual(found, rows);
  assert.deepEqual(notices, ['d.json: rows are those of "train"']);
  assert.deepEqual((await read('{"data":{"text":["a","b"],"label":["x","y"]}}', { columns })).rows, rows);
});

test("readExamples() reads an article or paragraphs of SQuAD that stand alone", async () => {
  const paragraph = {
    context: "hi you",
    qas: [{ id: "1", question: "Who?", answers: [{ text: "you", answer_start: 3 }] }],
  };
  const question = { id: "1", question: "Who?", context: "hi you", answers: [{ text: "you", start: 3 }] };
  for (
    const document of [paragraph, [paragraph], { data: [paragraph] }, { title: "t", paragraphs: [paragraph] }]
  ) {
    const files = await temporaryFiles({ "d.json": JSON.stringify(document) });
    assert.deepEqual(await readExamples((await files.path("d.json"))!, "question-answering"), [question]);
  }
});

test("readRows() says what a .jsonl file is that isn't one", async () => {
  const advice = '; if the file is JSON, set format to "json"';
  for (const content of [`[${first}]`, "{\n}"]) {
    const { error } = await read(content, {}, "d.jsonl");
    assert.ok(error?.startsWith("Cannot read line 1 of d.jsonl: ") && error.endsWith(advice), error);
  }
  assert.deepEqual((await read(`${first}\n\ufeff${second}`, {}, "d.jsonl")).rows, rows);
});
