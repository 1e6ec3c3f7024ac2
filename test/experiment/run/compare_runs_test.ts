import assert from "node:assert/strict";
import { test } from "node:test";
import { compareRuns } from "../../../src/experiment/run/compare_runs.ts";
import { methodSummary } from "../../support/method_summary.ts";

/** A run whose macro-F1 isn't defined. */
function undefinedF1(...given: Parameters<typeof methodSummary>) {
  const run = methodSummary(...given);
  return { ...run, after: { loss: 0.5, scores: { accuracy: run.after!.scores["accuracy"]!, macroF1: NaN } } };
}

test("compareRuns() pairs runs by draw and seed, in whatever order they come", () => {
  const runs = [
    methodSummary("b", 0.75, { draw: 2 }),
    methodSummary("a", 0.5, { draw: 1 }),
    methodSummary("b", 0.75, { draw: 1 }),
    methodSummary("a", 1, { draw: 2 }),
  ];
  const { accuracy, loss } = compareRuns(runs) as Record<string, ReturnType<typeof compareRuns>[string]>;
  // The first run's method is the one that others are compared to: 1 − 0.75 and 0.5 − 0.75.
  assert.deepEqual(accuracy!.methods.map(({ label }) => label), ["b", "a"]);
  const { count, mean, sd } = accuracy!.methods[1]!.difference!;
  assert.deepEqual([count, mean, sd], [2, 0, Math.sqrt(0.125)]);
  assert.equal(accuracy!.methods[0]!.difference, null);
  assert.deepEqual(loss!.methods.map(({ after }) => after!.mean), [0.25, 0.25]);
});

test("compareRuns() leaves out runs that failed or lack a score, and says over how many it is", () => {
  const runs = [
    methodSummary("a", 0.5, { seed: 1 }),
    methodSummary("b", 0.75, { seed: 1 }),
    methodSummary("a", undefined, { seed: 2 }),
    methodSummary("b", 0.5, { seed: 2 }),
    methodSummary("a", 0.5, { seed: 3 }),
    undefinedF1("b", 1, { seed: 3 }),
  ];
  const { accuracy, macroF1 } = compareRuns(runs) as Record<string, ReturnType<typeof compareRuns>[string]>;
  assert.deepEqual(accuracy!.methods.map(({ after }) => after!.count), [2, 3]);
  assert.deepEqual(accuracy!.methods[1]!.difference!.count, 2);
  assert.equal(accuracy!.methods[1]!.difference!.mean, 0.375);
  assert.deepEqual(accuracy!.variance!.methods, ["b"]);
  assert.deepEqual(macroF1!.methods.map(({ after }) => after!.count), [2, 2]);
  assert.equal(macroF1!.methods[1]!.difference!.count, 1);
  assert.equal(macroF1!.variance, null);
});

test("compareRuns() takes scores over clients along", () => {
  const clients = (worstDecile: number) => ({
    numClients: 3,
    scores: { accuracy: { mean: 0.8, worstDecile, deviation: 0.1 } },
  });
  const compared = compareRuns([
    methodSummary("a", 0.5, { seed: 1, clients: clients(0.5) }),
    methodSummary("b", 0.5, { seed: 1, clients: clients(0.25) }),
    methodSummary("a", 0.5, { seed: 2, clients: clients(0.5) }),
    methodSummary("b", 0.5, { seed: 2, clients: clients(0.75) }),
  ]);
  const { methods } = compared["clients.accuracy.worstDecile"]!;
  assert.deepEqual(methods.map(({ after }) => after!.mean), [0.5, 0.5]);
  assert.equal(methods[1]!.difference!.sd, Math.sqrt(0.125));
  assert.deepEqual(methods.map(({ before }) => before), [null, null]);
});

test("compareRuns() of runs that all failed is empty", () => {
  assert.deepEqual(compareRuns([methodSummary("a", undefined), methodSummary("b", undefined)]), {});
});
