import assert from "node:assert/strict";
import { test } from "node:test";
import { tokenizeExamples } from "../../src/fl/mod.ts";
import type { Tokenizer } from "../../src/models/encoder.ts";

/** One token a character, its code. */
const tokenizer: Tokenizer = {
  padId: 0,
  encodeWords: () => assert.fail("no words are asked for"),
  encodePair: () => assert.fail("no pairs are asked for"),
  encode: (text) => Array.from(text, (c) => c.charCodeAt(0)),
  encodeBatch: (texts, { maxLength = 8, padTo = 0 } = {}) => {
    const ids = new Uint32Array(texts.length * padTo);
    const mask = new Float32Array(ids.length);
    texts.forEach((text, i) =>
      Array.from(text).slice(0, maxLength).forEach((c, t) => {
        ids[i * padTo + t] = c.charCodeAt(0);
        mask[i * padTo + t] = 1;
      })
    );
    return { ids, mask, batchSize: texts.length, length: padTo };
  },
};

test("tokenizeExamples() pads and cuts every row to one length and numbers labels in the head's order", () => {
  const examples = [{ text: "ab", label: "spam" }, { text: "", label: "ham" }, {
    text: "abcd",
    label: "spam",
  }];
  assert.deepEqual(tokenizeExamples(examples, tokenizer, { labels: ["ham", "spam"], maxLength: 3 }), {
    size: 3,
    length: 3,
    ids: Uint32Array.of(97, 98, 0, 0, 0, 0, 97, 98, 99),
    mask: Float32Array.of(1, 1, 0, 0, 0, 0, 1, 1, 1),
    labels: Int32Array.of(1, 0, 1),
  });
});

test("tokenizeExamples() names an example whose label the head doesn't know", () => {
  const examples = [{ text: "a", label: "ham" }, { text: "b", label: "Spam" }];
  assert.throws(() => tokenizeExamples(examples, tokenizer, { labels: ["ham", "spam"], maxLength: 3 }), {
    name: "RangeError",
    message: 'Cannot use example 1: its label "Spam" is unknown to the head, which has ham, spam',
  });
});
