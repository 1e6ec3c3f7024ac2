import assert from "node:assert/strict";
import { test } from "node:test";
import { failuresOf, formatReport, type GpuReport } from "../../bench/gpu/report.ts";
import { relativeDifference } from "../../bench/gpu/row.ts";

const row = {
  name: "256³",
  milliseconds: { federa: 2, torch: 1 },
  samples: { federa: 7, torch: 7 },
  shares: { federa: 0.25, torch: 0.5 },
  checks: [{ what: "error", found: 0.5, allowed: 1 }],
  notes: ["of multiply-adds"],
};
const report: GpuReport = {
  date: "2026-01-01T00:00:00.000Z",
  arguments: [],
  machine: { processor: "P", cores: 16, gigabytes: 128 },
  versions: { federa: "1" },
  driver: null,
  adapter: { description: "A card", class: "gpu", subgroupSize: 32 },
  ceilings: null,
  torch: { missing: "no python3" },
  tests: {
    seconds: 3,
    concurrency: 2,
    files: [
      { file: "a_test.ts", seconds: 1, outcome: "passed", passed: 2, skipped: [], failures: [] },
      {
        file: "b_test.ts",
        seconds: 2,
        outcome: "failed",
        passed: 1,
        skipped: [{ name: "s", reason: "no network" }],
        failures: [{ name: "c", error: "Error: first\n  second" }],
      },
    ],
  },
  stages: { matmul: { status: "done", seconds: 4, rows: [row] } },
  seconds: 9,
  failures: [],
};

test("failuresOf() lists failing tests, wrong results, also those that are no numbers, and stages that broke", () => {
  const wrong = (found: number) => ({ ...row, checks: [{ what: "error", found, allowed: 1 }] });
  const stages = {
    matmul: { status: "done", seconds: 1, rows: [row, wrong(2), wrong(NaN)] },
    svd: { status: "failed", seconds: 1, rows: [], error: "Error: lost\n  at x" },
    growth: { status: "no time", seconds: 0, rows: [], error: "no time was left" },
  } as const;
  assert.deepEqual(failuresOf({ tests: report.tests, stages: structuredClone(stages) as never }), [
    { where: "b_test.ts: c", line: "Error: first" },
    { where: "matmul: 256³", line: "error: 2.00, allowed 1.00" },
    { where: "matmul: 256³", line: "error: NaN, allowed 1.00" },
    { where: "svd", line: "Error: lost" },
  ]);
});

test("formatReport() says what ran, what was skipped, times beside PyTorch's, and failures last", () => {
  const text = formatReport({ ...report, failures: failuresOf(report) });
  assert.match(text, /^adapter {3}A card, class gpu, subgroups 32; 16 cores$/m);
  assert.match(text, /^pytorch {3}none: no python3$/m);
  assert.match(text, /1 passed, 1 failed of 2 files in 3 s, 2 at a time; 3 tests passed/);
  assert.match(text, /1 skipped: no network/);
  assert.match(
    text,
    /^ {2}256³ {2}2\.00 ms {2}torch 0\.50× {2}25 %, torch 50 % {2}right {2}of multiply-adds$/m,
  );
  assert.match(text, /1 FAILURES\n✗ b_test\.ts: c: Error: first$/);
});

test("relativeDifference() is the Euclidean one, and infinite for arrays of different lengths", () => {
  assert.equal(relativeDifference([3, 4], [3, 9]), 5 / Math.sqrt(90));
  assert.equal(relativeDifference([3, 4], [0, 0]), 5);
  assert.equal(relativeDifference([1], [1, 2]), Infinity);
});
