import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it, test } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { readRows, type ReadRowsOptions } from "../../../src/data/rows/read_rows.ts";
import { temporaryFiles, temporaryFolder } from "../../support/temporary_files.ts";

const folder = temporaryFolder();

async function fileOf(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

async function read(name: string, content: string | Uint8Array, options?: ReadRowsOptions) {
  return await readRows(await fileOf(name, content), options);
}

async function refuses(
  name: string,
  content: string | Uint8Array,
  message: RegExp,
  options?: ReadRowsOptions,
) {
  const path = await fileOf(name, content);
  await assert.rejects(readRows(path, options), (error: Error) => {
    assert.match(error.name, /^(CorruptFileError|DataLimitError)$/, String(error));
    assert.ok(error.message.includes(path), error.message);
    assert.match(error.message, message);
    assert.ok(error.message.length < 500, `${error.message.length} characters`);
    return true;
  });
}

describe("readRows() of CSV and TSV", () => {
  it("readRows() reads quoted values, whatever ends the lines", async () => {
    const content = '\ufefftext,label\r\n"a, ""b""",1\r\n\r\n"two\nlines",\r\nü😀, x ';
    const { rows, columns, place } = await read("a.csv", content);
    assert.deepEqual(rows, [
      { text: 'a, "b"', label: "1" },
      { text: "two\nlines", label: "" },
      { text: "ü😀", label: " x " },
    ]);
    assert.deepEqual([...columns], ["text", "label"]);
    assert.equal(typeof place, "function");
    for (const end of ["\n", "\r"]) {
      assert.deepEqual((await read("b.csv", `a,b${end}1,2${end}`)).rows, [{ a: "1", b: "2" }]);
    }
  });

  it("readRows() tells where rows begin", async () => {
    const path = await fileOf("lines.csv", 'a,b\n"1\n2",3\n\n4,5\n"6\n7\n8",9\n10,11\n');
    const set = await readRows(path);
    const lines = set.rows.map((_, i) => set.place(i));
    assert.deepEqual(lines, [2, 5, 6, 9].map((line) => `line ${line} of ${path}`));
  });

  it("readRows() takes columns' names from the options, and tabs and quotes as they are", async () => {
    assert.deepEqual((await read("a.tsv", 'id\ttext\n1\tsay "hi", you\n', { quotes: false })).rows, [
      { id: "1", text: 'say "hi", you' },
    ]);
    assert.deepEqual((await read("b.tsv", '1\t"a\tb"\n', { header: ["x", "y"] })).rows, [{
      x: "1",
      y: "a\tb",
    }]);
    assert.deepEqual((await read("c.csv", "__proto__,constructor\n1,2\n")).rows.map(Object.entries), [
      [["__proto__", "1"], ["constructor", "2"]],
    ]);
  });

  it("readRows() gives back what was written by the rules of RFC 4180", async () => {
    const value = fc.string({ unit: "binary", maxLength: 8 }).filter((text) => text.isWellFormed());
    const table = fc.array(fc.tuple(value, value, fc.constantFrom('"', "\n", ",", "\r\n", "x")), {
      minLength: 1,
    });
    const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
    await fc.assert(
      fc.asyncProperty(table, async (rows) => {
        const lines = [["a", "b", "c"], ...rows].map((row) => row.map(quoted).join(","));
        const { rows: found } = await read("round.csv", lines.join("\r\n"));
        assert.deepEqual(found.map(Object.values), rows.map((row) => [...row]));
      }),
      { numRuns: 50 },
    );
  });

  it("readRows() names the line that is wrong", async () => {
    await refuses(
      "a.csv",
      "a,b\n1,2,3\n",
      /line 2 of .*: expected 2 values, got 3; .* "," must be in quotation/,
    );
    await refuses(
      "a.csv",
      'a,b\n1,"xy\n3,4\n',
      /line 2 of .*: a value begins with a quotation mark .* set quotes to false$/,
    );
    await refuses("a.csv", "a,b,a\n1,2,3\n", /two columns are named "a"$/);
    await refuses("a.csv", "a\n1\n2\n3\n", /maxRows/, { maxRows: 2 });
    await refuses(
      "a.csv",
      "a\n1\n2\n3\n",
      /8 bytes|may take 7 bytes \(maxBytes\), got 8; split it into several/,
      {
        maxBytes: 7,
      },
    );
  });
});

describe("readRows() of JSON", () => {
  it("readRows() reads lines of JSON that only line feeds end", async () => {
    const set = await read("a.jsonl", '{"a":"\u2028\u0085"}\n\n{"a":[1,{"b":null}],"c":2}\r\n');
    assert.deepEqual(set.rows, [{ a: "\u2028\u0085" }, { a: [1, { b: null }], c: 2 }]);
    assert.deepEqual([...set.columns], ["a", "c"]);
    assert.match(set.place(1), /^line 3 of .*a\.jsonl$/);
    await refuses("a.ndjson", "{}\n[1]\n", /^Cannot read line 2 of .*: expected an object, got \[1\]$/);
    await refuses("a.jsonl", "{}\n{]\n", /line 2 of .*: not JSON, got \{\]$/);
  });

  it("readRows() splits lines alike, however the file is cut into pieces", async () => {
    // Pieces are of 64 KiB: lines around that length, and characters of four bytes across the cut.
    const texts = Array.from({ length: 7 }, (_, i) => "😀".repeat(16_383 + i) + "x".repeat(i));
    const { rows } = await read("long.jsonl", texts.map((text) => JSON.stringify({ text })).join("\n"));
    assert.deepEqual(rows.map(({ text }) => text), texts);
  });

  it("readRows() reads a list of objects, or one under data", async () => {
    for (const root of [[{ a: 1 }, { a: 2 }], { version: 1, data: [{ a: 1 }, { a: 2 }] }]) {
      const set = await read("a.json", JSON.stringify(root));
      assert.deepEqual(set.rows, [{ a: 1 }, { a: 2 }]);
      assert.match(set.place(1), /^row 2 of .*a\.json$/);
    }
    await refuses("a.json", "3", /expected a list of objects, got 3$/);
    await refuses("a.json", '[{},[{"b":1}]]', /row 2 of .*: expected an object, got \[an object\]$/);
    await refuses(
      "a.json",
      "[".repeat(100_000) + "]".repeat(100_000),
      /row 1 of .*: expected an object, got \[/,
    );
  });

  it("readRows() makes a row of each question of the official SQuAD files", async () => {
    const answers = [{ text: "x", answer_start: 0 }];
    const paragraphs = [
      { context: "x y", qas: [{ id: "1", question: "?", answers }, { id: "2", question: "!", answers: [] }] },
      { context: "z", qas: [] },
      { context: "w", qas: [{ id: "3", question: "w?", answers: [], is_impossible: true }] },
    ];
    const { rows } = await read(
      "squad.json",
      JSON.stringify({ version: "v2.0", data: [{ title: "T", paragraphs }] }),
    );
    assert.deepEqual(rows, [
      { title: "T", context: "x y", id: "1", question: "?", answers },
      { title: "T", context: "x y", id: "2", question: "!", answers: [] },
      { title: "T", context: "w", id: "3", question: "w?", answers: [], is_impossible: true },
    ]);
    const path = join(folder, "squad.json");
    const twice = await readRows([path, path]);
    assert.equal(twice.place(2), `question 3 of ${path}`);
    assert.equal(twice.place(3), `question 1 of ${path}`);
    await refuses(
      "squad.json",
      JSON.stringify({ data: [{ paragraphs: [{ qas: [] }, { qas: 3 }] }] }),
      /paragraph 2 of article 1 of .*: expected a list of questions as qas, got 3$/,
    );
  });
});

describe("readRows()", () => {
  it("readRows() reads words and tags as the CoNLL tasks had them", async () => {
    const content =
      "-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n\nPeter NNP\tB-NP B-PER\n \nx N B O";
    const set = await read("a.conll", content);
    assert.deepEqual(set.rows, [
      { tokens: ["EU", "rejects"], tags: ["B-ORG", "O"] },
      { tokens: ["Peter"], tags: ["B-PER"] },
      { tokens: ["x"], tags: ["O"] },
    ]);
    assert.match(set.place(1), /^line 7 of /);
    await refuses(
      "b.conll",
      "EU B-ORG\nrejects\n",
      /line 2 of .*: expected a word and its tag, got rejects$/,
    );
  });

  it("readRows() reads several files in order and keeps the columns it is asked for", async () => {
    const paths = [
      await fileOf("1.jsonl", '{"a":1,"b":2}\n{"b":3}'),
      await fileOf("2.jsonl", '{"a":4,"c":5}'),
    ];
    const set = await readRows(paths, { columns: ["a", "z"] });
    assert.deepEqual(set.rows, [{ a: 1 }, {}, { a: 4 }]);
    assert.deepEqual([...set.columns], ["a", "b", "c"]);
    assert.equal(set.place(2), `line 1 of ${paths[1]}`);
    await assert.rejects(readRows(paths, { maxRows: 2 }), { name: "DataLimitError", message: /2\.jsonl/ });
  });

  it("readRows() reads Parquet with the names of its classes", async () => {
    const path = fileURLToPath(new URL("../../golden/data/texts_snappy.parquet", import.meta.url));
    const set = await readRows([path, path], { columns: ["label"] });
    assert.equal(set.rows.length, 14);
    assert.deepEqual(set.rows[6], { label: 1 });
    assert.deepEqual(set.classNames.get("label"), ["negative", "positive"]);
    assert.equal(set.place(8), `row 2 of ${path}`);
    await assert.rejects(readRows([path, path], { maxRows: 13 }), {
      name: "DataLimitError",
      message: /6 rows/,
    });
  });

  it("readRows() goes by the stated format, or else by the extension", async () => {
    const path = await fileOf("data.txt", '{"a":1}');
    assert.deepEqual((await readRows(path, { format: "jsonl" })).rows, [{ a: 1 }]);
    await assert.rejects(readRows(path), {
      name: "RangeError",
      message: /set format to one of jsonl, json, csv/,
    });
    await assert.rejects(readRows(path, { format: "xml" as "csv" }), {
      name: "RangeError",
      message: /got xml$/,
    });
    await assert.rejects(readRows(join(folder, "absent.csv")), { code: "ENOENT" });
    const reason = new Error("enough");
    for (const name of ["x.csv", "x.jsonl", "x.json", "x.conll"]) {
      const file = await fileOf(name, "[]");
      await assert.rejects(readRows(file, { signal: AbortSignal.abort(reason) }), reason);
    }
  });

  it("readRows() refuses a line without end", async () => {
    await refuses("a.jsonl", " ".repeat((64 << 20) + 70_000), /line 1 of .* may have 67108864 characters$/);
  });
});

test("readRows() refuses what files of a format don't have", async () => {
  const files = await temporaryFiles({
    "a.jsonl": '{"text":"a"}\n',
    "a.conll": "a O\n",
    "a.parquet": "PAR1",
  });
  const cases = [["a.jsonl", "header"], ["a.jsonl", "delimiter"], ["a.conll", "delimiter"], [
    "a.parquet",
    "encoding",
  ]] as const;
  const values = { header: ["text"], delimiter: ";", encoding: "utf-8" };
  for (const [name, option] of cases) {
    const path = (await files.path(name))!;
    await assert.rejects(readRows(path, { [option]: values[option] }), {
      name: "RangeError",
      message: `Cannot read ${path}: ${option} doesn't apply to the format ${name.slice(2)}; leave it out`,
    });
  }
});

test("readRows() says what to do about files of formats that it doesn't read", async () => {
  for (
    const [name, advice] of [["a.csv.gz", "unpack it"], ["a.feather", "write Parquet"], [
      "a.xlsx",
      "save it as CSV",
    ]]
  ) {
    await assert.rejects(readRows(name!), {
      name: "RangeError",
      message: new RegExp(`^Cannot read ${name}: .*; ?${advice}`),
    });
  }
});

test("readRows() reads a file that a page was given as it reads the same file on disk", async () => {
  const long = Array.from({ length: 30_000 }, (_, i) => `text ${i} ü,${i % 3}`).join("\n");
  const contents = {
    "a.csv": `text,label\n${long}\n`,
    "a.tsv": "text\tlabel\nb\t1\n",
    "a.jsonl": '{"text":"a"}\n\n{"text":"b"}\n',
    "a.json": '[{"text":"a"}]',
    "a.conll": "a O\nb B-X\n\nc O\n",
  };
  const files = await temporaryFiles(contents);
  for (const [name, content] of Object.entries(contents)) {
    const path = (await files.path(name))!;
    const [given, expected] = await Promise.all([readRows(new File([content], name)), readRows(path)]);
    assert.deepEqual(given.rows, expected.rows);
    assert.deepEqual(given.columns, expected.columns);
    const last = given.rows.length - 1;
    assert.equal(given.place(last), expected.place(last).replace(path, name));
  }
});

test("readRows() refuses a file that a page was given where it refuses the same file on disk", async () => {
  const csv = (content: BlobPart) => readRows(new File([content], "a.csv"), { maxBytes: 100 });
  await assert.rejects(csv("a,b\n1,2,3\n"), {
    name: "CorruptFileError",
    message: /^Cannot read line 2 of a\.csv: /,
  });
  await assert.rejects(csv(new Uint8Array([97, 10, 0xff])), {
    message: /^Cannot read line 2 of a\.csv: 0xff at byte/,
  });
  await assert.rejects(csv("a".repeat(101)), { name: "DataLimitError", message: /100 bytes .* got 101/ });
  await assert.rejects(readRows(new File(["PAR1"], "a.parquet")), {
    name: "RangeError",
    message: /^Cannot read a\.parquet: Parquet is read from a path alone/,
  });
  await assert.rejects(
    readRows(new File(["a\nb"], "a.csv"), { signal: AbortSignal.abort(new Error("enough")) }),
    {
      message: "enough",
    },
  );
  // As browsers do with a file that has been written to since it was chosen.
  const changed = Object.assign(new File(["a"], "a.csv"), {
    stream: () => new ReadableStream({ pull: () => Promise.reject(new Error("NotReadableError")) }),
  });
  await assert.rejects(readRows(changed), {
    name: "CorruptFileError",
    message:
      "Cannot read a.csv: NotReadableError; if it has been changed since it was chosen, choose it again",
  });
});
