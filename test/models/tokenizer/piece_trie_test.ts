import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PieceTrie } from "../../../src/models/tokenizer/piece_trie.ts";

/** All pieces that a text begins with, with their ids. */
function prefixes(trie: PieceTrie, text: string): [string, number][] {
  const found: [string, number][] = [];
  let prefix = "";
  let node: number | undefined = PieceTrie.ROOT;
  for (const char of text) {
    node = trie.child(node, char.codePointAt(0)!);
    if (node === undefined) break;
    prefix += char;
    const id = trie.idAt(node);
    if (id !== undefined) found.push([prefix, id]);
  }
  return found;
}

test("PieceTrie finds the pieces that a text begins with", () => {
  const text = fc.string({
    unit: fc.constantFrom("a", "b", "c", "\u{10ffff}", "\0"),
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(fc.property(fc.array(text, { maxLength: 40 }), text, (pieces, start) => {
    const trie = new PieceTrie();
    for (const [id, piece] of pieces.entries()) trie.add(piece, id);
    const expected = Array.from(start, (_, i) => [...start].slice(0, i + 1).join(""))
      .filter((prefix) => pieces.includes(prefix))
      .map((prefix): [string, number] => [prefix, pieces.lastIndexOf(prefix)]);
    assert.deepEqual(prefixes(trie, start), expected);
  }));
});

test("PieceTrie grows", () => {
  const trie = new PieceTrie();
  const pieces = Array.from({ length: 20_000 }, (_, i) => (i * i + i).toString(36));
  for (const [id, piece] of pieces.entries()) trie.add(piece, id);
  for (const [id, piece] of pieces.entries()) assert.deepEqual(prefixes(trie, piece).at(-1), [piece, id]);
  assert.equal(trie.child(PieceTrie.ROOT, 0x61 + 30), undefined);
});
