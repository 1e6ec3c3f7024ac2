import assert from "node:assert/strict";
import { test } from "node:test";
import type { MethodConfig } from "../../../src/experiment/config/config.ts";
import type { Experiment } from "../../../src/experiment/run/experiment.ts";
import { majorityBaseline, summarize } from "../../../src/experiment/run/summary.ts";
import type { RoundReport } from "../../../src/fl/mod.ts";
import { classification, createTaskSet, type TaskSet } from "../../../src/tasks/mod.ts";

const started = {
  type: "initialized",
  method: "fedit",
  trainableParameters: 10,
  isPersonal: false,
  totalParameters: 100,
  memory: { blockSize: 2, peakBytes: 1000, heldBytes: 2000, budgetBytes: null },
  test: { loss: 0.7, scores: { accuracy: 0.5, macroF1: 0.4 } },
  seconds: 1,
} as const;
const method: MethodConfig = {
  method: "fedit",
  learningRate: 0.01,
  rank: 8,
  alpha: 8,
  targets: ["**"],
  svd: "randomized",
};

/** A report of a round, of which only the accuracy and the error differ. */
function report(round: number, accuracy: number | null, aggregationError: number | null): RoundReport {
  return {
    round,
    participants: [0, 1],
    trainLoss: 0.5,
    test: accuracy === null ? null : { loss: 0.6, scores: { accuracy, macroF1: accuracy - 0.1 } },
    bytesUp: 1_500_000,
    bytesDown: 1_000_000,
    lost: [],
    measures: { aggregationError, appliedError: aggregationError && aggregationError / 2 },
    liveBytes: 0,
    seconds: { training: 2, aggregation: 0.5, measuring: 0.5, evaluation: 1 },
  };
}

/** What of an experiment a summary needs. */
function of(target: Experiment["target"]) {
  return { target, draw: 3, seed: 4 };
}

/** A set of which only the labels are looked at. */
function labelled(labels: readonly number[]): TaskSet {
  const tokens = {
    batchSize: labels.length,
    length: 0,
    inputIds: new Uint32Array(),
    attentionMask: new Float32Array(),
  };
  return createTaskSet(tokens, { targets: Int32Array.from(labels) });
}

test("summarize() adds up rounds and finds the first that reached the target", () => {
  const reports = [report(1, 0.8, 0.2), report(2, null, null), report(3, 0.92, 0.4), report(4, 0.95, 0.6)];
  const summary = summarize(method, of({ metric: "accuracy", value: 0.9 }), { started, reports });
  assert.equal(summary.roundsToTarget, 3);
  assert.deepEqual([summary.label, summary.draw, summary.seed], ["fedit", 3, 4]);
  assert.equal(summary.bytesUp, 6_000_000);
  assert.equal(summary.bytesDown, 4_000_000);
  assert.equal(summary.seconds, 17);
  assert.ok(Math.abs(summary.measures["aggregationError"]! - 0.4) < 1e-12);
  assert.ok(Math.abs(summary.measures["appliedError"]! - 0.2) < 1e-12);
  assert.deepEqual(summary.after, { loss: 0.6, scores: { accuracy: 0.95, macroF1: 0.95 - 0.1 } });
  assert.equal(
    summarize(method, of({ metric: "macroF1", value: 0.9 }), { started, reports }).roundsToTarget,
    null,
  );
  assert.equal(
    summarize(method, of(undefined), { started, reports: [report(1, 1, null)] }).measures["aggregationError"],
    null,
  );
});

test("majorityBaseline() answers with the class most frequent in training", () => {
  // Of the test's 4 texts 1 is "b": accuracy 1/4; F1 of "b" is 2·1/(4 + 1) = 0.4, the other classes have 0.
  const baseline = majorityBaseline(classification({ labels: ["a", "b", "c"] }), {
    train: labelled([0, 1, 1, 2, 1]),
    test: labelled([0, 0, 1, 2]),
  });
  assert.deepEqual(baseline, {
    name: 'always "b"',
    scores: { accuracy: 0.25, macroF1: 0.4 / 3, matthews: 0 },
  });
});
