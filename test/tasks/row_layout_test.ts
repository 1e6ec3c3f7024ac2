import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { noRow } from "../../src/engine/mod.ts";
import { layOut, placeRows } from "../../src/tasks/row_layout.ts";

const longest = 20;
/** Tokens of the texts of several members, as many texts each. */
const blocks = fc.integer({ min: 1, max: 5 }).chain((texts) =>
  fc.array(fc.array(fc.integer({ min: 0, max: longest }), { minLength: texts, maxLength: texts }), {
    minLength: 1,
    maxLength: 4,
  })
);

/** For each member the places (text, position) of its real tokens in the order of its rows. */
function orderOf(tokens: readonly (readonly number[])[], member: number, options = {}): string[] {
  const { length, rows } = layOut(tokens, { longest, ...options });
  const own = tokens[member]!;
  const texts = own.length;
  if (rows === undefined) {
    const places = own.flatMap((count, text) =>
      Array.from({ length }, (_, position) => position < count ? `${text}.${position}` : "padding")
    );
    return places.slice(0, places.findLastIndex((place) => place !== "padding") + 1);
  }
  const { rowTokens, rowPositions } = placeRows(tokens, { length, rows });
  const of = Array.from({ length: rows }, (_, row) => {
    const token = rowTokens[member * rows + row]!;
    if (token === noRow) return "padding";
    const [text, position] = [Math.floor(token / length) - member * texts, token % length];
    assert.equal(rowPositions[member * rows + row], position);
    return `${text}.${position}`;
  });
  return of.slice(0, of.findLastIndex((place) => place !== "padding") + 1);
}

test("layOut() has a member's tokens one after another, whoever is beside it", () => {
  fc.assert(fc.property(blocks, (tokens) => {
    tokens.forEach((own, member) => {
      const expected = own.flatMap((count, text) =>
        Array.from({ length: count }, (_, position) => `${text}.${position}`)
      );
      assert.deepEqual(orderOf(tokens, member), expected);
      assert.deepEqual(orderOf([own], 0), expected);
    });
  }));
});

test("layOut() cuts what no text needs, and rounds few lengths and rows up to multiples of 8", () => {
  fc.assert(fc.property(blocks, (tokens) => {
    const { length, rows } = layOut(tokens, { longest });
    const most = Math.max(1, ...tokens.flat());
    assert.ok(length >= most && length <= Math.min(longest, Math.ceil(most / 8) * 8));
    if (rows === undefined) return;
    const fullest = Math.max(...tokens.map((own) => own.reduce((sum, count) => sum + count, 0)));
    assert.equal(rows, Math.ceil(fullest / 8) * 8);
  }));
});

test("layOut() packs nothing where there is no padding between texts", () => {
  assert.deepEqual(layOut([[11, 11, 11], [11, 11, 4], [11, 0, 0]], { longest }), { length: 11 });
  assert.deepEqual(layOut([[20, 20], [20, 20]], { longest }), { length: 20 });
  // One text a member: it may be as short as it likes.
  assert.deepEqual(layOut([[3], [9], [0]], { longest }), { length: 16 });
  assert.deepEqual(layOut([[3, 0, 0], [9, 0, 0]], { longest }), { length: 16 });
  assert.deepEqual(layOut([[3, 9]], { longest }), { length: 16, rows: 16 });
  // A text without tokens is padding between the others.
  assert.deepEqual(layOut([[9, 0, 3]], { longest }), { length: 16, rows: 16 });
});

test("layOut() packs a member with padding beside one that fills its rows", () => {
  assert.deepEqual(layOut([[16, 16], [5, 16]], { longest }), { length: 16, rows: 32 });
  assert.deepEqual(layOut([[16, 16], [0, 1]], { longest }), { length: 16, rows: 32 });
  assert.deepEqual(layOut([[20, 20], [19, 20]], { longest }), { length: 20, rows: 40 });
});

test("layOut() keeps padding that isn't worth its copies, where asked", () => {
  assert.deepEqual(layOut([[20, 19, 20]], { longest, worth: 0.1 }), { length: 20 });
  assert.deepEqual(layOut([[20, 9, 20]], { longest, worth: 0.1 }), { length: 20, rows: 56 });
});

test("placeRows() maps tokens to rows and rows to tokens", () => {
  fc.assert(fc.property(blocks, (tokens) => {
    const { length, rows } = layOut(tokens, { longest });
    if (rows === undefined) return;
    const { rowTokens, tokenRows } = placeRows(tokens, { length, rows });
    rowTokens.forEach((token, row) => assert.ok(token === noRow || tokenRows[token] === row));
    tokenRows.forEach((row, token) => assert.ok(row === noRow || rowTokens[row] === token));
    const count = tokens.flat().reduce((sum, each) => sum + each, 0);
    assert.equal(rowTokens.filter((token) => token !== noRow).length, count);
  }));
});
