import assert from "node:assert/strict";
import { test } from "node:test";
import type { PairWindow } from "../../../../src/models/mod.ts";
import { answerTokens } from "../../../../src/tasks/kinds/questions/_answer_tokens.ts";

/** Two windows on "~~dog~ran~~~far~~" that share "ran"; a tokenizer may drop characters, here every "~". */
const context = "~~dog~ran~~~far~~";
const windows = [[[2, 5], [6, 9]], [[6, 9], [12, 15]]].map((spans) => ({
  inputIds: [],
  tokenTypeIds: [],
  spans: [undefined, undefined, ...spans, undefined],
})) as readonly (Pick<PairWindow, "spans">)[] as readonly PairWindow[];

const tokensOf = (text: string, start = context.indexOf(text)) => answerTokens(windows, { text, start });

test("answerTokens() finds answers at either edge of a window", () => {
  assert.deepEqual(tokensOf("ran"), [[3, 3], [2, 2]]);
  assert.deepEqual(tokensOf("dog~ran"), [[2, 3], [0, 0]]);
  assert.deepEqual(tokensOf("ran~~~far"), [[0, 0], [2, 3]]);
  assert.deepEqual(tokensOf("dog~ran~~~far"), [[0, 0], [0, 0]]);
});

test("answerTokens() takes characters that no token has for cut off only where a window ends within the context", () => {
  assert.deepEqual(tokensOf("~~dog"), [[2, 2], [0, 0]]);
  assert.deepEqual(tokensOf("far~~"), [[0, 0], [3, 3]]);
  assert.deepEqual(tokensOf("dog~"), [[2, 2], [0, 0]]);
  assert.deepEqual(tokensOf("~~far"), [[0, 0], [3, 3]]);
  assert.deepEqual(tokensOf("~ran"), [[3, 3], [0, 0]]);
  assert.deepEqual(tokensOf("ran~"), [[0, 0], [2, 2]]);
  assert.deepEqual(tokensOf("~~~"), [[0, 0], [0, 0]]);
});

test("answerTokens() counts no space around an answer", () => {
  assert.deepEqual(tokensOf(" ran", 5), [[3, 3], [2, 2]]);
  assert.deepEqual(tokensOf("\n ran\u00a0\n", 4), [[3, 3], [2, 2]]);
});
