import assert from "node:assert/strict";
import { test } from "node:test";
import { describePrediction } from "../../../src/cli/trained/describe_prediction.ts";

test("describePrediction() shows a question's id and what was asked of which text", () => {
  const candidate = (text: string, probability: number) => ({
    text,
    start: 0,
    end: text.length,
    score: 1,
    probability,
  });
  const answer = (text: string) =>
    describePrediction({
      text: "Rome lies there",
      question: "where?",
      prediction: {
        id: "q7",
        text,
        noAnswerMargin: 1,
        candidates: [candidate("", 0.75), candidate("Rome", 0.25)],
      },
    });
  assert.equal(answer("Rome"), "q7  where?  |  Rome lies there\n  Rome  25.0 %");
  assert.equal(answer(""), "q7  where?  |  Rome lies there\n  no answer  75.0 %");
});

test("describePrediction() names the entities of words that were given", () => {
  const prediction = { tags: ["B-PER", "I-PER", "O"], entities: [{ type: "PER", start: 0, end: 2 }] };
  const tokens = ["Ada", "Lovelace", "wrote"];
  assert.equal(
    describePrediction({ text: tokens.join(" "), tokens, prediction }),
    "Ada Lovelace wrote\n  PER  Ada Lovelace",
  );
  const tags = ["NOUN", "NOUN", "VERB"];
  assert.equal(
    describePrediction({ text: tokens.join(" "), tokens, prediction: { tags, entities: [] } }),
    "Ada Lovelace wrote\n  Ada  NOUN\n  Lovelace  NOUN\n  wrote  VERB",
  );
});

test("describePrediction() cuts a long text between characters", () => {
  const text = "🙂".repeat(200);
  assert.equal(describePrediction({ text, prediction: { value: 1 } }), `${"🙂".repeat(100)}…\n  1`);
});
