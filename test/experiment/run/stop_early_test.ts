import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "../../../src/experiment/config/parse_config.ts";
import { bestRound, type JudgeOptions, stopReason } from "../../../src/experiment/run/stop_early.ts";
import type { RoundReport } from "../../../src/fl/mod.ts";
import { tinyBert } from "../../support/tiny_project.ts";

/** Reports of rounds with these scores; null for a round that wasn't evaluated. */
function reports(metric: string, scores: readonly (number | null)[]): RoundReport[] {
  return scores.map((score, i) => ({
    round: i + 1,
    participants: [0],
    lost: [],
    trainLoss: 1,
    test: score === null ? null : { loss: 1, scores: { [metric]: score } },
    bytesUp: 0,
    bytesDown: 0,
    measures: {},
    liveBytes: 0,
    seconds: { training: 0, aggregation: 0, measuring: 0, evaluation: 0 },
  }));
}

function judge(
  stopEarly: JudgeOptions["config"]["stopEarly"],
  target?: JudgeOptions["target"],
): JudgeOptions {
  return { config: { stopEarly }, target, task: { metrics: ["accuracy"] } };
}

/** The round after which a run with these scores ends, if it ends early. */
function endOf(scores: readonly (number | null)[], options: JudgeOptions, metric = "accuracy") {
  const all = reports(metric, scores);
  return all.find((_, i) => stopReason(all.slice(0, i + 1), options) !== undefined)?.round;
}

test("stopReason() ends a method once the target is reached, in a round that is evaluated", () => {
  const options = judge({ atTarget: true }, { metric: "accuracy", value: 0.8 });
  assert.equal(endOf([0.5, null, 0.79, 0.8, 0.9], options), 4);
  assert.equal(endOf([0.5, 0.6], options), undefined);
  const all = reports("accuracy", [0.9]);
  assert.equal(stopReason(all, options), "the target is reached, accuracy 0.8");
  // Errors are the better the lower they are.
  const lower = { metric: "meanSquaredError", value: 0.3, lowerIsBetter: true };
  assert.equal(endOf([0.5, 0.3], judge({ atTarget: true }, lower), "meanSquaredError"), 2);
});

test("stopReason() ends a method after so many rounds without a better score; an equal one isn't better", () => {
  const options = judge({ atTarget: false, patience: 2 });
  assert.equal(endOf([0.5, 0.6, 0.6, 0.6, 0.7], options), 4);
  assert.equal(endOf([0.5, 0.4, 0.6, 0.5, 0.7, 0.6, 0.7], options), 7);
  assert.equal(endOf([0.5, null, null, 0.4], options), 4);
  assert.equal(
    stopReason(reports("accuracy", [0.5, 0.4, 0.3]), options),
    "accuracy was best in round 1, 2 rounds ago",
  );
  assert.equal(endOf([0.1, 0.1, 0.1], { ...options, config: { stopEarly: undefined } }), undefined);
});

test("bestRound() is the first with the best score, lowest where lower is better", () => {
  assert.equal(bestRound(reports("accuracy", [0.5, null, 0.7, 0.7, 0.6]), judge(undefined))?.round, 3);
  const task = { metrics: ["meanSquaredError"], lowerIsBetter: ["meanSquaredError"] };
  const errors = reports("meanSquaredError", [0.5, 0.2, 0.3]);
  assert.equal(bestRound(errors, { ...judge(undefined), task })?.round, 2);
  assert.equal(bestRound(reports("accuracy", [null]), judge(undefined)), undefined);
});

test("parseConfig() refuses early ends that can't come", () => {
  const refuses = (more: object, message: RegExp) =>
    assert.throws(() => parseConfig({ ...tinyBert, ...more }), { name: "ConfigError", message });
  refuses({ stopEarly: { atTarget: true } }, /stopEarly\.atTarget: expected a target, got none: add target/);
  refuses({ stopEarly: {} }, /stopEarly: expected atTarget: true or patience, or both/);
  refuses(
    { keepBest: true, evaluateEvery: 0 },
    /evaluateEvery: expected at least 1, as stopEarly and keepBest/,
  );
  refuses({ stopEarly: { patience: 0 } }, /stopEarly\.patience/);
});
