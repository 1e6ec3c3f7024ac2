import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseFlatJson, pythonJson } from "../../../../src/network/flower/objects/python_json.ts";

test("pythonJson() writes what json.dumps writes", () => {
  // By Python 3.11: json.dumps({"a": [1, 2], "é\u007f\u0080€😀\n\"\\/": "x", "": []})
  const value = new Map<string, string | number[]>([["a", [1, 2]], ['é\u007f\u0080€😀\n"\\/', "x"], [
    "",
    [],
  ]]);
  assert.equal(
    pythonJson(value),
    '{"a": [1, 2], "\\u00e9\u007f\\u0080\\u20ac\\ud83d\\ude00\\n\\"\\\\/": "x", "": []}',
  );
  assert.equal(pythonJson("\u0000\u001f\ud800"), '"\\u0000\\u001f\\ud800"');
  assert.equal(pythonJson(new Map()), "{}");
});

test("parseFlatJson() keeps the order of names that look like numbers, and odd names", () => {
  const entries: [string, string][] = [["10", "a"], ["2", "b"], ["__proto__", "c"], ["", "d"], ['":{', "e"]];
  assert.deepEqual([...parseFlatJson(pythonJson(new Map(entries)))!], entries);
  assert.deepEqual([...parseFlatJson(' {"10" :"a",\n"2":"b"} ')!], entries.slice(0, 2));
});

test("parseFlatJson() reads what pythonJson() writes", () => {
  const text = fc.string({ unit: "binary" });
  fc.assert(fc.property(fc.array(fc.tuple(text, text)).map((entries) => new Map(entries)), (map) => {
    assert.deepEqual([...parseFlatJson(pythonJson(map))!], [...map]);
  }));
});

test("parseFlatJson() reads nothing else", () => {
  const wrong = [
    "",
    "{",
    "[]",
    '["a"]',
    "null",
    "1",
    '"a"',
    '{"a": 1}',
    '{"a": {"b": "c"}}',
    '{"a": ["b"]}',
    '{"a": ["b", "c"]}',
    '{"a": null, "b": "c"}',
    '{"a": "b", "a": "c"}',
    '{"a": "b"} x',
  ];
  for (const text of wrong) assert.equal(parseFlatJson(text), undefined, text);
});
