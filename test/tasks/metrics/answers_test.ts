import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { answerScores, normalizeAnswer } from "../../../src/tasks/metrics/mod.ts";
import { reference } from "./golden.ts";

test("normalizeAnswer() and answerScores() equal SQuAD's rules as torchmetrics has them", () => {
  for (const { answer, right, normalized, exactMatch, f1 } of reference.answers) {
    assert.equal(normalizeAnswer(answer), normalized);
    const scores = answerScores(answer, [right]);
    assert.equal(scores.exactMatch, exactMatch, JSON.stringify([answer, right]));
    // Theirs is computed in float32: five roundings.
    assert.ok(Math.abs(scores.f1 - f1) <= 5 * 2 ** -24, JSON.stringify([answer, right, scores.f1, f1]));
  }
});

test("answerScores() takes the best match of each score", () => {
  assert.deepEqual(answerScores("big red dog", ["dog", "big dog", "BIG, red dog!"]), {
    exactMatch: 1,
    f1: 1,
  });
  // 2·1/(3 + 1) and 2·2/(3 + 2).
  assert.deepEqual(answerScores("big red dog", ["dog", "big dog"]), { exactMatch: 0, f1: 0.8 });
});

test("answerScores() of no answer is right where there is none, or nothing but articles and punctuation", () => {
  const [right, wrong] = [{ exactMatch: 1, f1: 1 }, { exactMatch: 0, f1: 0 }];
  assert.deepEqual(answerScores("", []), right);
  assert.deepEqual(answerScores("", ["The", "..."]), right);
  assert.deepEqual(answerScores("a", []), right);
  assert.deepEqual(answerScores("dog", []), wrong);
  assert.deepEqual(answerScores("", ["dog"]), wrong);
  assert.deepEqual(answerScores("", ["the", "dog"]), wrong);
});

test("answerScores() is bounded, symmetric for one answer, and blind to case, articles, punctuation and spaces", () => {
  const text = fc.array(fc.constantFrom("dog", "Dog", "cat", "a", "the", "x", "!", "ü"), { maxLength: 7 });
  fc.assert(fc.property(text, text, (a, b) => {
    const found = answerScores(a.join(" "), [b.join(" ")]);
    assert.ok(found.f1 >= found.exactMatch && found.f1 <= 1);
    assert.deepEqual(answerScores(b.join(" "), [a.join(" ")]), found);
    const dressed = a.map((word) => `the ${word.toUpperCase()}?`).join("\n\t");
    assert.deepEqual(answerScores(dressed, [b.join(" ")]), found);
    assert.deepEqual(answerScores(a.join(" "), [a.join("  ")]), { exactMatch: 1, f1: 1 });
  }));
});
