import assert from "node:assert/strict";
import { test } from "node:test";
import { otherPredictions, otherTraining } from "../../../bench/federation/agreement.ts";

const job = { work: { trainable: 10, steps: 4, texts: 8, tokens: 90 }, numTests: 100 };
const ours = {
  work: { trainable: 10 },
  before: { loss: 1.9, accuracy: 0.1 },
  after: { loss: 1.5, accuracy: 0.5 },
};

test("otherTraining() accepts the same work to the same loss", () => {
  const theirs = { ...ours, work: job.work, after: { loss: 1.500001, accuracy: 0.51 } };
  assert.deepEqual(otherTraining(theirs, ours, job), []);
});

test("otherTraining() names other counts, losses and accuracies", () => {
  const theirs = {
    work: { ...job.work, steps: 5 },
    before: ours.before,
    after: { loss: 1.51, accuracy: 0.6 },
  };
  assert.deepEqual(otherTraining(theirs, ours, job), [
    "steps 5 instead of 4",
    "loss after training 1.51, federa's 1.5",
    "accuracy after training 0.6, federa's 0.5",
  ]);
  assert.deepEqual(otherTraining(ours, { ...ours, work: { trainable: 11 } }, job), [
    "trainable 11 instead of 10",
  ]);
});

test("otherTraining() does not take a loss that is no number for the same", () => {
  const theirs = { ...ours, after: { loss: NaN, accuracy: 0.5 } };
  assert.equal(otherTraining(theirs, ours, job).length, 1);
});

test("otherPredictions() compares each probability", () => {
  const rows = [[0.25, 0.75], [0.5, 0.5]];
  assert.deepEqual(otherPredictions(rows, rows), []);
  assert.equal(otherPredictions([[0.25, 0.75]], rows).length, 1);
  assert.equal(otherPredictions([[0.25, 0.75], [0.4999, 0.5001]], rows).length, 1);
  assert.equal(otherPredictions([[0.25, 0.75], [NaN, 0.5]], rows).length, 1);
});
