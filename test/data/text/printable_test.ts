import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cut, excerpt, excerptOfNames } from "../../../src/data/text/excerpt.ts";
import { printable, printableJson, printableLines } from "../../../src/data/text/printable.ts";

/** What no terminal may be given, counted out: C0, DEL, C1, separators, overrides, isolates and half pairs. */
function isUnprintable(character: string): boolean {
  const code = character.codePointAt(0)!;
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code === 0x2028 || code === 0x2029 ||
    (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
    (code >= 0xd800 && code <= 0xdfff);
}

/** Texts in which such characters are frequent. */
const hostile = fc.array(
  fc.oneof(
    fc.string({ unit: "binary" }),
    fc.integer({ min: 0, max: 0x2100 }).map((code) => String.fromCharCode(code)),
    fc.integer({ min: 0xd7f0, max: 0xe010 }).map((code) => String.fromCharCode(code)),
  ),
).map((parts) => parts.join(""));

test("printable() shows what a terminal would obey, and keeps every other character", () => {
  assert.equal(printable("\u001b]0;owned\u0007\u001b[2J"), "\\x1b]0;owned\\x07\\x1b[2J");
  assert.equal(printable("a\rb\nc\td\u009b31m\u007f"), "a\\rb\\nc\\td\\x9b31m\\x7f");
  assert.equal(printable("user\u202enimda\u2066x\u2069\u2028"), "user\\u202enimda\\u2066x\\u2069\\u2028");
  assert.equal(printable("\ud83d half"), "\\ud83d half");
  for (const kept of ["naïve e\u0301 日本語 한국어", "שלום \u200f(עולם)", "👩‍🔬 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "a\\x1b\u00a0\u200bb"]) {
    assert.equal(printable(kept), kept);
  }
});

test("printable() and its kin leave nothing that a terminal obeys, whatever the text", () => {
  fc.assert(fc.property(hostile, (text) => {
    const shown = printable(text);
    assert.ok(![...shown].some(isUnprintable));
    assert.equal(printable(shown), shown);
    assert.deepEqual(printableLines(text), text.split("\n").map(printable).join("\n"));
    assert.ok(![...excerpt([text])].some(isUnprintable));
    assert.ok(![...cut(text)].some(isUnprintable));
    const json = printableJson({ [text]: [text] });
    assert.ok(![...json].some(isUnprintable));
    assert.deepEqual(JSON.parse(json), JSON.parse(JSON.stringify({ [text]: [text] })));
  }));
});

test("printableJson() indents as JSON.stringify() does", () => {
  assert.equal(printableJson({ a: ["\u009b"] }, 2), '{\n  "a": [\n    "\\u009b"\n  ]\n}');
});

test("excerptOfNames() quotes a few of many names", () => {
  const names = Array.from({ length: 100_000 }, (_, i) => `label ${i}\n`);
  assert.equal(excerptOfNames(names, 2), '"label 0\\n", "label 1\\n" and 99998 more');
  assert.equal(excerptOfNames(["ham", "spam"]), '"ham", "spam"');
  assert.equal(excerptOfNames([]), "");
});
