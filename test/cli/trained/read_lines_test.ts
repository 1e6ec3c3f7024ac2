import assert from "node:assert/strict";
import { test } from "node:test";
import { splitLines } from "../../../src/cli/trained/read_lines.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

test("splitLines() keeps blank lines, so that line n of the answers is that of line n of the input", () => {
  assert.deepEqual(splitLines(bytes("one\n\n  \ntwo\n")), ["one", "", "  ", "two"]);
  assert.deepEqual(splitLines(bytes("one\r\n\r\ntwo\r\n")), ["one", "", "two"]);
  assert.deepEqual(splitLines(bytes("one\ntwo")), ["one", "two"]);
  assert.deepEqual(splitLines(bytes("one\n\n")), ["one", ""]);
  assert.deepEqual(splitLines(bytes("\n")), [""]);
});

test("splitLines() reads what shells and editors write, and refuses what isn't text", () => {
  assert.deepEqual(splitLines(Uint8Array.from([0xef, 0xbb, 0xbf, 0x61, 0x0a])), ["a"]);
  assert.deepEqual(splitLines(Uint8Array.from([0xff, 0xfe, 0x61, 0, 0x0a, 0, 0x62, 0])), ["a", "b"]);
  const cafe = Uint8Array.from([0x61, 0x0a, 0x63, 0x61, 0x66, 0xe9, 0x0a]);
  assert.throws(() => splitLines(cafe), {
    name: "CorruptFileError",
    message:
      /^Cannot read line 2 of the standard input: 0xe9 .* isn't UTF-8; set encoding to that of the file/,
  });
  assert.deepEqual(splitLines(cafe, "windows-1252"), ["a", "café"]);
  assert.throws(() => splitLines(Uint8Array.from([0x1f, 0x8b, 8])), /it is compressed by gzip; unpack it/);
});

test("splitLines() says that an empty input has no texts", () => {
  assert.throws(() => splitLines(new Uint8Array()), {
    name: "ConfigError",
    message: /^Cannot predict without texts: the standard input is empty; give texts as arguments/,
  });
});
