import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { parseExactJson, readExamples, readRows } from "../../../../src/data/mod.ts";
import { readWholeText } from "../../../../src/data/rows/text/read_text.ts";
import { temporaryFiles } from "../../../support/temporary_files.ts";
import { cpuClock } from "../../../support/cpu_clock.ts";

async function pathOf(name: string, content: string): Promise<string> {
  return (await (await temporaryFiles({ [name]: content })).path(name))!;
}

/** JSON text as Python writes it, which has bigints. */
function write(value: unknown): string {
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return `[${value.map(write).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${
    Object.entries(value).map(([key, inner]) => `${JSON.stringify(key)}: ${write(inner)}`).join(", ")
  }}`;
}

test("parseExactJson() keeps whole numbers exactly", () => {
  assert.deepEqual(
    parseExactJson('[9007199254740991, 9007199254740992, -9007199254740993, {"a": 12345678901234567890}]'),
    [
      9007199254740991,
      9007199254740992n,
      -9007199254740993n,
      { a: 12345678901234567890n },
    ],
  );
  assert.equal(parseExactJson(" 18446744073709551615 "), 18446744073709551615n);
  // What isn't a whole number, or is in a text, is as ever.
  for (
    const text of [
      '"9007199254740993"',
      '"\\"9007199254740993"',
      '{"9007199254740993": "\\\\", "b": 1}',
      "[0.1234567890123456789, 1e400, 1e22, 1234567890123456.5, -0]",
      '{"__proto__": 1, "a": 1, "a": 2}',
    ]
  ) assert.deepEqual(parseExactJson(text), JSON.parse(text));
  const value = fc.letrec((tie) => ({
    value: fc.oneof(
      fc.string(),
      fc.constantFrom("9007199254740993", '"', "\\", '\\"12345678901234567890', "__proto__"),
      fc.integer(),
      fc.bigInt(2n ** 53n, 2n ** 80n),
      fc.bigInt(-(2n ** 80n), -(2n ** 53n)),
      fc.array(tie("value")),
      fc.dictionary(fc.string(), tie("value")),
    ),
  })).value;
  fc.assert(fc.property(value, (any) => {
    const text = write(any);
    assert.equal(write(parseExactJson(text)), text);
  }));
});

test("parseExactJson() refuses what JSON.parse does, at the same place", () => {
  for (
    const text of [
      "",
      "01234567890123456789",
      "[1234567890123456789,]",
      '{"a": 9007199254740993 "b"}',
      "12345678901234567-",
    ]
  ) {
    let expected: unknown;
    assert.throws(() => JSON.parse(text), (error) => (expected = error, true));
    assert.throws(() => parseExactJson(text), { name: "SyntaxError", message: (expected as Error).message });
  }
});

test("parseExactJson() takes a time that grows with the text alone", () => {
  const strings = JSON.stringify(Array.from({ length: 200_000 }, () => '\\"'));
  const text = `[${"12345678901234567890,".repeat(200_000)}${strings},"${"\\\\".repeat(1_000_000)}",${
    "[".repeat(1000)
  }${"]".repeat(1000)},${"9".repeat(1_000_000)}]`;
  const seconds = cpuClock();
  assert.equal((parseExactJson(text) as unknown[])[199_999], 12345678901234567890n);
  assert.ok(seconds() < 10);
});

test("readExamples() keeps 64-bit keys, ids and labels of JSON and Parquet exactly", async () => {
  const rows = [1234567890123456789n, 1234567890123456790n].map((id) =>
    `{"text": "a", "label": ${id}, "user": ${id}, "id": ${id}}`
  );
  const options = { columns: { keyColumn: "user" } };
  for (const path of [await pathOf("d.jsonl", rows.join("\n")), await pathOf("d.json", `[${rows}]`)]) {
    assert.deepEqual(await readExamples(path, "sequence-classification", options), [
      { text: "a", label: "1234567890123456789", key: "1234567890123456789" },
      { text: "a", label: "1234567890123456790", key: "1234567890123456790" },
    ]);
  }
  const parquet = fileURLToPath(new URL("../../../golden/data/label_types.parquet", import.meta.url));
  const examples = await readExamples(parquet, "sequence-classification", {
    columns: { labelColumn: "i", keyColumn: "id" },
  });
  assert.deepEqual(examples.map(({ key }) => key), [
    "1234567890123456789",
    "1234567890123456790",
    "-1",
    "9223372036854775807",
  ]);
});

test("readExamples() refuses keys that a number can't hold, by their line", async () => {
  for (const key of ["12345678901234567890.5", "1e20", "1E+300"]) {
    const path = await pathOf("d.jsonl", `{"text": "a", "label": 1, "key": ${key}}`);
    await assert.rejects(readExamples(path, "sequence-classification", { columns: { keyColumn: "key" } }), {
      name: "CorruptFileError",
      message: /^Cannot read line 1 of .*: column key must be text, or a number that is kept exactly, got 1/,
    });
  }
});

test("readRows() names the line of what isn't JSON, and says what Python writes", async () => {
  const refuses = async (name: string, content: string, message: string) => {
    const path = await pathOf(name, content);
    await assert.rejects(readRows(path), { name: "CorruptFileError", message: message.replace(name, path) });
  };
  const nan = "NaN isn't a JSON number, though Python writes it; write null where a value is missing";
  await refuses("d.jsonl", '{"a": "NaN"}\n{"NaN": NaN}\n', `Cannot read line 2 of d.jsonl: ${nan}`);
  await refuses("d.json", '[{"a": 1},\n{"a": NaN}]\n', `Cannot read line 2 of d.json: ${nan}`);
  await refuses(
    "d.json",
    '[{"a": -Infinity}]',
    `Cannot read line 1 of d.json: ${nan.replace("NaN", "Infinity")}`,
  );
  const rows = Array.from({ length: 9 }, (_, i) => `{"a": "row ${i}"},`);
  await refuses("d.json", `[${rows.join("\n")}\n]`, "Cannot read line 10 of d.json: it is not JSON");
  await refuses("d.json", "[1,\n", "Cannot read line 2 of d.json: it is not JSON");
  await refuses("d.json", "[\n1\n,]\n", "Cannot read line 3 of d.json: it is not JSON");
});

test("readWholeText() refuses what is longer than a string may be", async () => {
  const path = await pathOf("d.json", "é".repeat(11));
  assert.equal((await readWholeText(path, { maxBytes: 100, maxLength: 11 })).length, 11);
  await assert.rejects(readWholeText(path, { maxBytes: 100, maxLength: 10 }), {
    name: "DataLimitError",
    message:
      `Cannot read ${path}: a JSON document may have at most 10 characters; write it as JSONL, an object a line, in several ` +
      "files if need be",
  });
});
