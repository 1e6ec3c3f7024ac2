import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bestNoAnswerThreshold, type ThresholdQuestion } from "../../../src/tasks/mod.ts";
import { assertClose } from "../../support/compare.ts";
import { questionsReference } from "../../support/golden_questions.ts";

/** Mean score with a threshold, by its definition. */
function scoreWith(questions: readonly ThresholdQuestion[], threshold: number): number {
  const scores = questions.map(({ margin, answered, unanswered }) =>
    margin > threshold ? unanswered : answered
  );
  return scores.reduce((sum, score) => sum + score, 0) / scores.length;
}

test("bestNoAnswerThreshold() finds what find_best_thresh of SQuAD's script finds", () => {
  let equal = 0;
  for (const { questions: given, score, threshold } of questionsReference.thresholds) {
    const questions = given.map(([margin, answered, unanswered]) => ({ margin, answered, unanswered }));
    const found = bestNoAnswerThreshold(questions);
    assertClose([found.score], [score], { absolute: 1e-15 });
    // Where none is to be answered the script says 0, which doesn't give the score that it says if a margin is below.
    if (scoreWith(questions, threshold) < score) continue;
    assert.equal(found.threshold, threshold);
    equal++;
  }
  assert.equal(equal, 4, "of five");
});

test("bestNoAnswerThreshold() is as good as any threshold, and its score is the one that it gives", () => {
  const question = fc.record({
    margin: fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ min: -9, max: 9, noNaN: true })),
    answered: fc.constantFrom(0, 0.25, 1),
    unanswered: fc.constantFrom(0, 1),
  });
  fc.assert(fc.property(fc.array(question, { minLength: 1, maxLength: 12 }), (questions) => {
    const { threshold, score } = bestNoAnswerThreshold(questions);
    assertClose([score], [scoreWith(questions, threshold)], { absolute: 1e-12 });
    const margins = questions.map(({ margin }) => margin);
    for (const other of [...margins, ...margins.map((margin) => margin - 1e-3), 99]) {
      assert.ok(scoreWith(questions, other) <= score + 1e-12);
    }
  }));
});

test("bestNoAnswerThreshold() answers none where that is best, and never a question that has no answer to give", () => {
  const never = { answered: 0, unanswered: 1 };
  assert.deepEqual(bestNoAnswerThreshold([{ margin: 2, ...never }, { margin: 3, ...never }]), {
    threshold: 0,
    score: 1,
  });
  assert.deepEqual(bestNoAnswerThreshold([{ margin: 0.5, ...never }, { margin: 1, ...never }]), {
    threshold: 0,
    score: 1,
  });
  assert.deepEqual(bestNoAnswerThreshold([{ margin: -2, ...never }, { margin: 3, ...never }]), {
    threshold: -3,
    score: 1,
  });
  assert.deepEqual(bestNoAnswerThreshold([{ margin: Infinity, answered: 1, unanswered: 0 }]), {
    threshold: 0,
    score: 0,
  });
  assert.throws(() => bestNoAnswerThreshold([]), { name: "RangeError", message: /got 0/ });
  assert.throws(() => bestNoAnswerThreshold([{ margin: NaN, ...never }]), {
    name: "RangeError",
    message: /got the margin NaN/,
  });
});
