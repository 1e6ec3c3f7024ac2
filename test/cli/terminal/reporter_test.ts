import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test, type TestContext } from "node:test";
import { MethodProgress } from "../../../src/cli/terminal/method_progress.ts";
import { createReporter } from "../../../src/cli/terminal/reporter.ts";

/** A reporter onto a stream that is no terminal, under a clock that stands still until `tick`. */
function plainReporter(t: TestContext) {
  t.mock.timers.enable({ apis: ["Date", "setInterval"] });
  const stream = new PassThrough({ encoding: "utf8" });
  const reporter = createReporter(stream);
  return {
    reporter,
    tick: (seconds: number) => t.mock.timers.tick(1000 * seconds),
    read: () => stream.read(),
  };
}

test("without a terminal progress() prints a line at least every ten seconds, the time left included", (t) => {
  const { reporter, tick, read } = plainReporter(t);
  for (let done = 0; done <= 8; done++) {
    reporter.progress("loading", done, 40, { unit: "tensors" });
    tick(1);
  }
  assert.equal(read(), "loading, 8 of 40 tensors, about 35 s left\n");
  // Nothing new comes in: the line is printed nevertheless.
  tick(8);
  assert.equal(read(), null);
  tick(1);
  assert.equal(read(), "loading, 8 of 40 tensors, about 35 s left\n");
  // Any other line counts too.
  tick(5);
  reporter.line("round 1");
  tick(8);
  assert.equal(read(), "round 1\n");
  reporter.endProgress();
  tick(60);
  assert.equal(read(), null);
});

test("progress() of a task whose length nobody knows tells its name", (t) => {
  const { reporter, tick, read } = plainReporter(t);
  reporter.progress("reading tokens", 0, 0);
  tick(9);
  assert.equal(read(), "reading tokens\n");
});

test("progress() counts bytes in megabytes", (t) => {
  const { reporter, tick, read } = plainReporter(t);
  tick(9);
  reporter.progress("downloading", 12_340_000, 90_900_000, { unit: "bytes" });
  assert.equal(read(), "downloading, 12.3 of 90.9 MB\n");
});

test("MethodProgress tells round, steps, and the time that all rounds still take", (t) => {
  const { reporter, tick, read } = plainReporter(t);
  const progress = new MethodProgress("fedit", 20);
  const event = { type: "progress", round: 1, done: 0, total: 120 } as const;
  for (const round of [1, 2]) {
    for (let step = 0; step < 120; step++) {
      progress.show({ ...event, round, phase: "training", done: step + 1 }, reporter);
      tick(0.25);
    }
    progress.show({ ...event, round, phase: "evaluation", done: 64, total: 64 }, reporter);
    tick(10);
    // 30 s of training and 10 s of evaluation a round.
    const seconds = { training: 30, aggregation: 0, measuring: 0, evaluation: 10 };
    progress.learn({ test: { loss: 1, scores: {} }, seconds });
  }
  read();
  for (let step = 0; step < 41; step++) {
    progress.show({ ...event, round: 3, phase: "training", done: step + 1 }, reporter);
    tick(0.25);
  }
  // Of 18 rounds of 40 s each about 9 s have passed.
  assert.match(read(), /^fedit: round 3\/20, \d+ of 120 steps, about 12 min left\n$/);
});
