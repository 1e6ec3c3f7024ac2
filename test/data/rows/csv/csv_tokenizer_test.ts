import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CsvTokenizer } from "../../../../src/data/rows/csv/_csv_tokenizer.ts";

/** The records of text that comes in pieces, each with its line, or what is wrong with it. */
function read(
  pieces: readonly string[],
  quotes = true,
): (readonly [line: number, ...values: string[]])[] | string {
  const tokenizer = new CsvTokenizer({ delimiter: ",", quotes });
  try {
    return [...pieces.flatMap((piece) => tokenizer.push(piece)), ...tokenizer.end()]
      .map(({ line, values }) => [line, ...values]);
  } catch (error) {
    return (error as Error).message;
  }
}

const misquoted = (line: number) =>
  `line ${line}: a value begins with a quotation mark and doesn't end with one; if quotation marks are part of the text in ` +
  "this file, set quotes to false";

test("CsvTokenizer reads as pandas does, and counts lines", () => {
  // Of pandas 2's read_csv(…, dtype=str, keep_default_na=False); lines by hand.
  const cases: [string, ReturnType<typeof read>][] = [
    ['a\n""\nx\n', [[1, "a"], [2, ""], [3, "x"]]],
    ['a\n"\n"\nx\n', [[1, "a"], [2, "\n"], [4, "x"]]],
    ['a\n""', [[1, "a"], [2, ""]]],
    ['a,b\n1,""', [[1, "a", "b"], [2, "1", ""]]],
    ['a,b\n"x"" y"z,2\n', [[1, "a", "b"], [2, 'x" yz', "2"]]],
    ['a,b\n""x"",2\n', [[1, "a", "b"], [2, 'x""', "2"]]],
    ["a,b\r\n1,2\r\n\r\n \t\r\n3,4\r\n", [[1, "a", "b"], [2, "1", "2"], [5, "3", "4"]]],
    ["a,b\r1,2\r\r3,4\r", [[1, "a", "b"], [2, "1", "2"], [4, "3", "4"]]],
    ['a,b\n1,"x\n', misquoted(2)],
    ['\n\na,"', misquoted(3)],
    ['"a\nb"c,1\n', misquoted(1)],
  ];
  for (const [text, records] of cases) assert.deepEqual(read([text]), records, JSON.stringify(text));
  assert.deepEqual(read(['"a,\0b\n\0,"'], false), [[1, '"a', "\0b"], [2, "\0", '"']]);
});

test("CsvTokenizer gives the same records and lines wherever a piece ends", () => {
  const piece = fc.string({
    unit: fc.constantFrom("x", " ", ",", '"', "\r", "\n", "\r\n", '""', "\ufeff"),
    maxLength: 4,
  });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), fc.boolean(), (pieces, quotes) => {
      assert.deepEqual(read(pieces, quotes), read([pieces.join("")], quotes));
    }),
    { numRuns: 2000 },
  );
});

test("CsvTokenizer refuses a record of more than 64 MiB, and no shorter one", () => {
  const tokenizer = new CsvTokenizer({ delimiter: ",", quotes: true });
  assert.equal(tokenizer.push("a\n").length, 1);
  const piece = "x".repeat(1 << 20);
  for (let i = 0; i < 64; i++) tokenizer.push(piece);
  assert.throws(() => tokenizer.push("x"), {
    name: "DataLimitError",
    message: "line 2: a record may have at most 67108864 characters",
  });
});
