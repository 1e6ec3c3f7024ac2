import assert from "node:assert/strict";
import { test } from "node:test";
import { printMethod } from "../../../src/cli/terminal/method_printer.ts";
import type { Experiment } from "../../../src/experiment/run/experiment.ts";
import type { MethodEvent } from "../../../src/experiment/run/record_run.ts";
import type { RoundReport } from "../../../src/fl/mod.ts";
import { silent } from "../../support/silent_reporter.ts";

const method = { method: "fedit", learningRate: 0.1 };
const initialized = {
  type: "initialized",
  method: "fedit",
  trainableParameters: 1000,
  totalParameters: 7_000_000,
  test: null,
  seconds: 1,
} as const;
const report: RoundReport = {
  round: 1,
  participants: [0, 1],
  lost: [4],
  trainLoss: 0.5,
  test: { loss: 0.6, scores: { accuracy: 0.75 } },
  clients: { numClients: 2, scores: { accuracy: { mean: 0.7, worstDecile: 0.25, deviation: 0.1 } } },
  bytesUp: 0,
  bytesDown: 0,
  measures: {},
  liveBytes: 0,
  seconds: { training: 1, aggregation: 0.5, measuring: 0.25, evaluation: 0.25 },
};

/** The lines that events lead to, and the progress. */
function printed(events: readonly unknown[], { number, total }: { number: number; total: number }) {
  const lines: string[] = [];
  const tasks: string[] = [];
  const reporter = {
    ...silent,
    line: (text: string) => lines.push(text),
    progress: (task: string) => tasks.push(task),
  };
  const experiment = { config: { rounds: 10, methods: [method] }, draw: 7, seed: 9 } as unknown as Experiment;
  const print = printMethod(experiment, { method, number, total } as never, reporter);
  for (const event of events) print(event as MethodEvent);
  return { lines, tasks };
}

test("printMethod() says what is trained, who was lost, and how a round went", () => {
  const lost = { client: { id: 4 }, phase: "upload", reason: "the connection was closed" };
  const { lines } = printed([
    initialized,
    { type: "client-lost", round: 1, lost },
    { type: "round", report },
    { type: "round", report: { ...report, round: 2, trainLoss: null, test: null, clients: undefined } },
    { type: "round", report: { ...report, round: 3, clients: undefined, measures: { clippedValues: 7 } } },
    { type: "round", report: { ...report, round: 4, clients: undefined, measures: { clippedValues: 0 } } },
  ], { number: 1, total: 1 });
  assert.deepEqual(lines, [
    "\nfedit: 1,000 of 7,000,000 values trained, learning rate 0.1",
    "  round 1: lost client 4 in its upload: the connection was closed",
    "  round  1/10  train loss 0.500  loss 0.600  accuracy 0.750  (worst decile of clients 0.250)  2.0 s",
    "  round  2/10  train loss –  2.0 s",
    "  round  3/10  train loss 0.500  loss 0.600  accuracy 0.750  2.0 s",
    "    values that secure aggregation cut off: 7; widen secureAggregation.clippingRange",
    "  round  4/10  train loss 0.500  loss 0.600  accuracy 0.750  2.0 s",
  ]);
});

test("printMethod() of several replicates says which run of how many it is", () => {
  const progress = { type: "progress", round: 2, phase: "training", done: 1, total: 4 };
  const { lines, tasks } = printed([initialized, progress], { number: 3, total: 12 });
  assert.equal(
    lines[0],
    "\nfedit, draw 7, seed 9 (run 3 of 12): 1,000 of 7,000,000 values trained, learning rate 0.1",
  );
  assert.deepEqual(tasks, ["fedit 3/12: initialization", "fedit 3/12: round 2/10"]);
});
