import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { findJsonProblem } from "../../../src/experiment/config/json_problem.ts";

const messages = (text: string) => {
  const problem = findJsonProblem(text);
  return problem && `${problem.line}: ${problem.message}`;
};

test("findJsonProblem() names a key that an object has twice, however it is written", () => {
  assert.equal(messages('{"rounds": 1,\n "rounds": 2}'), '2: the key "rounds" is there twice: leave one out');
  assert.equal(messages('{"a": [{"b": 1}, {"b": 2}], "c": {"b": 3}}'), undefined);
  assert.equal(
    messages('{"data": {"\\u0061": 1, "a": 2}}'),
    '1: the key "a" is there twice: leave one out',
  );
});

test("findJsonProblem() says what people write who are used to other notations", () => {
  const cases: [text: string, expected: string | undefined][] = [
    ['{\n// why\n"a": 1}', "2: JSON has no comments: leave this one out"],
    ['{"a": /* why */ 1}', "1: JSON has no comments: leave this one out"],
    ['{"a": 1} # why', "1: JSON has no comments: leave this one out"],
    ['{"a": 1,\n}', "2: a comma stands after the last entry: leave it out"],
    ["[1, ]", "1: a comma stands after the last entry: leave it out"],
    ["{'a': 1}", "1: expected a key in double quotation marks, got 'a'"],
    ['{"a": NaN}', "1: expected a value, got NaN"],
    ['{"a": True}', "1: expected a value, got True"],
    ['{"a": 1 "b": 2}', '1: expected a comma or }, got "'],
    ['{"a" 1}', '1: expected a colon after "a", got 1'],
    [
      '{"a": "C:\\data"}',
      "1: a text has no closing quotation mark in its line, or an odd backslash (write \\\\ for one)",
    ],
    ['{"a": 1', "1: it ends before its last bracket"],
    ['{"a": 1}\n{"a": 2}', "2: more follows after its end"],
    ["[".repeat(200_000), "1: it ends before its last bracket"],
    ["[]", undefined],
    [' {"a": [], "b": {}, "c": [null, true, -1.5e-3, "\\u00e9\\n"]} ', undefined],
  ];
  for (const [text, expected] of cases) assert.equal(messages(text), expected, text.slice(0, 50));
});

test("findJsonProblem() finds nothing in what JSON.stringify() writes, and something in what JSON.parse() refuses", () => {
  fc.assert(fc.property(fc.jsonValue(), fc.nat(3), (value, indent) => {
    assert.equal(findJsonProblem(JSON.stringify(value, null, indent)), undefined);
  }));
  const pieces = fc.constantFrom(
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"a"',
    '"b"',
    "1",
    "-",
    "0",
    ".5",
    "e3",
    "null",
    " ",
    "\n",
    '"',
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
      const text = parts.join("");
      let valid = true;
      try {
        JSON.parse(text);
      } catch {
        valid = false;
      }
      const problem = findJsonProblem(text);
      if (problem?.message.includes("twice")) return;
      assert.equal(problem === undefined, valid, text);
    }),
    { numRuns: 2000 },
  );
});
