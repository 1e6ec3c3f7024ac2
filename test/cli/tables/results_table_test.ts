import assert from "node:assert/strict";
import { test } from "node:test";
import { replicatesTable } from "../../../src/cli/tables/replicates_table.ts";
import { resultsTable } from "../../../src/cli/tables/results_table.ts";
import { compareRuns } from "../../../src/experiment/run/compare_runs.ts";
import type { MethodSummary } from "../../../src/experiment/run/summary.ts";
import { methodSummary } from "../../support/method_summary.ts";

const baseline = { name: 'always "ham"', scores: { accuracy: 0.7, macroF1: 0.41 } };

/** The table of runs of several replicates. */
function table(runs: readonly MethodSummary[]): string {
  return replicatesTable({ baseline, runs, statistics: compareRuns(runs) });
}

test("resultsTable() shows the baseline, the start and each method", () => {
  assert.equal(
    resultsTable({ baseline, runs: [methodSummary("fedit", 0.95)] }),
    [
      "method           accuracy  macro-F1",
      "---------------  --------  --------",
      'always "ham"        0.700     0.410',
      "before training     0.500     0.400",
      "fedit               0.950     0.850",
      "",
      "method  rounds to target  MB up  MB down  seconds  aggregation error",
      "------  ----------------  -----  -------  -------  -----------------",
      "fedit                  2    1.5      1.0        5              0.125",
    ].join("\n"),
  );
});

// Differences of 0.01, 0.02, 0.05 and 0.06; the intervals are SciPy's, the second by the mean squares 0.0016 and 0.0001.
test("replicatesTable() shows mean ± sd, differences with their intervals, and what the variance comes from", () => {
  const runs = [[0.7, 0.9], [0.72, 0.92]].flatMap((scores, draw) =>
    scores.flatMap((score, seed) => [
      methodSummary("fedit", score, { draw, seed }),
      methodSummary("federa", score + 0.01 + 0.04 * draw + 0.01 * seed, { draw, seed }),
    ])
  );
  assert.equal(
    table(runs),
    [
      "mean ± sd             accuracy       macro-F1  runs",
      "---------------  -------------  -------------  ----",
      'always "ham"             0.700          0.410',
      "before training  0.500 ± 0.000  0.400 ± 0.000",
      "fedit            0.810 ± 0.116  0.710 ± 0.116     4",
      "federa           0.845 ± 0.126  0.745 ± 0.126     4",
      "",
      "mean of a run  rounds to target  MB up  MB down  seconds  aggregation error",
      "-------------  ----------------  -----  -------  -------  -----------------",
      "fedit              2.0 (2 of 4)    1.5      1.0        5              0.125",
      "federa             2.0 (2 of 4)    1.5      1.0        5              0.125",
      "",
      "minus fedit  score     difference     95 % interval  new draws, seeds  pairs",
      "-----------  --------  ----------  ----------------  ----------------  -----",
      "federa       accuracy      +0.035  −0.003 to +0.073  −0.167 to +0.237      4",
      "federa       macro-F1      +0.035  −0.003 to +0.073  −0.167 to +0.237      4",
      "95 % interval: Student's, over pairs of runs. Runs that share a draw or a seed are not",
      "independent; the interval for new draws and seeds allows for that.",
      "",
      "variance (sd) from         accuracy       macro-F1",
      "--------------------  -------------  -------------",
      "method                 2 % (0.0200)   2 % (0.0200)",
      "draw                   3 % (0.0245)   3 % (0.0245)",
      "seed                  94 % (0.1449)  94 % (0.1449)",
      "method × draw          2 % (0.0200)   2 % (0.0200)",
      "method × seed          0 % (0.0050)   0 % (0.0050)",
      "draw × seed            0 % (0.0000)   0 % (0.0000)",
      "method × draw × seed   0 % (0.0000)   0 % (0.0000)",
    ].join("\n"),
  );
});

test("replicatesTable() has a row for a run that failed, and counts the pairs without it", () => {
  const runs = [0.7, 0.9].flatMap((score, draw) => [
    methodSummary("fedit", score, { draw }),
    methodSummary("federa", draw === 0 ? undefined : 0.95, { draw }),
  ]);
  assert.equal(
    table(runs),
    [
      "mean ± sd                    accuracy       macro-F1    runs",
      "----------------------  -------------  -------------  ------",
      'always "ham"                    0.700          0.410',
      "before training         0.500 ± 0.000  0.400 ± 0.000",
      "fedit                   0.800 ± 0.141  0.700 ± 0.141       2",
      "federa                          0.950          0.850  1 of 2",
      "federa, draw 0, seed 1  failed after round 1: Cannot go on",
      "",
      "mean of a run  rounds to target  MB up  MB down  seconds  aggregation error",
      "-------------  ----------------  -----  -------  -------  -----------------",
      "fedit              2.0 (1 of 2)    1.5      1.0        5              0.125",
      "federa                      2.0    1.5      1.0        5              0.125",
      "",
      "minus fedit  score     difference  95 % interval  pairs",
      "-----------  --------  ----------  -------------  -----",
      "federa       accuracy      +0.050              –      1",
      "federa       macro-F1      +0.050              –      1",
      "",
      "variance (sd) from        accuracy        macro-F1",
      "------------------  --------------  --------------",
      "draw                100 % (0.1414)  100 % (0.1414)",
      "Of fedit, which finished every run.",
    ].join("\n"),
  );
});

test("resultsTable() and replicatesTable() show scores over clients, and clients that were lost", () => {
  const clients = {
    numClients: 12,
    scores: { accuracy: { mean: 0.8, worstDecile: 0.25, deviation: 0.125 } },
  };
  const runs = [1, 2].map((seed) => ({ ...methodSummary("fedit", 0.95, { seed, clients }), lost: seed }));
  const single = resultsTable({ baseline, runs: [runs[0]!] }).split("\n");
  assert.deepEqual(single.slice(6, 9), [
    "over clients  score      mean  worst decile     sd",
    "------------  --------  -----  ------------  -----",
    "fedit         accuracy  0.800         0.250  0.125",
  ]);
  assert.match(single[10]!, / seconds {2}lost {2}aggregation error$/);
  assert.match(single[12]!, / 5 {5}1 {14}0\.125$/);
  const several = table(runs).split("\n");
  assert.deepEqual(several.slice(6, 9), [
    "over clients  score              mean   worst decile             sd",
    "------------  --------  -------------  -------------  -------------",
    "fedit         accuracy  0.800 ± 0.000  0.250 ± 0.000  0.125 ± 0.000",
  ]);
  assert.match(several[10]!, / seconds {2}lost {2}aggregation error$/);
  assert.match(several[12]!, / 5 {3}1\.5 {14}0\.125$/);
});
