import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { parseComparison } from "../../../src/experiment/compare/comparison_config.ts";
import { RecordStore } from "../../../src/experiment/compare/record_store.ts";
import { summarizeComparison } from "../../../src/experiment/compare/summarize_comparison.ts";
import {
  finalPlaces,
  finalUnit,
  tuningSettings,
  tuningUnits,
  type Unit,
} from "../../../src/experiment/compare/units.ts";
import { placeOf, type UnitRecord } from "../../../src/experiment/compare/unit_record.ts";
import { scoresChart } from "../../../src/experiment/compare/scores_chart.ts";
import { comparisonTables } from "../../../src/cli/tables/comparison_tables.ts";
import { type GivenRound, unitRecord } from "../../support/unit_record.ts";

const comparison = parseComparison({
  name: "mine",
  data: { kind: "spam-assassin" },
  partition: { kind: "dirichlet", numClients: 4, alpha: 1 },
  settings: [{ label: "even" }],
  methods: [{ method: "fedit", learningRates: [0.1, 0.2] }, { method: "federa", learningRate: 0.3 }],
  draws: 2,
  seeds: 2,
  rounds: 3,
  targets: [0.7],
  byteBudgets: [4, 1],
});

/** A store with what `rounds` says of each unit; nothing of a unit that it gives undefined for. */
async function storeOf(
  t: TestContext,
  rounds: (unit: Unit) => readonly GivenRound[] | null | undefined,
  more: Partial<UnitRecord> = {},
): Promise<RecordStore> {
  const folder = await mkdtemp(join(tmpdir(), "federa-compare-"));
  t.after(() => rm(folder, { recursive: true }));
  const store = await RecordStore.open(folder);
  const units = comparison.contenders.flatMap((contender) => [
    ...tuningSettings(comparison).flatMap((setting) => tuningUnits(comparison, contender, setting)),
    ...finalPlaces(comparison).flatMap(({ setting, replicate }) =>
      contender.learningRates.map((learningRate) =>
        finalUnit({ contender, setting, ...replicate, learningRate })
      )
    ),
  ]);
  for (const unit of units) {
    const given = rounds(unit);
    if (given !== undefined) await store.add(unitRecord({ ...placeOf(unit), ...more }, given));
  }
  return store;
}

/** Rounds of two bytes whose second isn't evaluated. */
function rounds(first: number, last: number): GivenRound[] {
  return [{ accuracy: first }, {}, { accuracy: last, loss: 1 - last }];
}

/** fedit has 0.6 after its rounds, federa 0.7, 0.9, 0.7 and 0.9 by draw and seed; both had 0.65 after the first. */
function golden({ phase, contender: { label }, seed, learningRate }: Unit): GivenRound[] {
  if (phase === "tuning") return rounds(0, learningRate);
  return rounds(0.65, label === "fedit" ? 0.6 : seed === 1 ? 0.7 : 0.9);
}

test("summarizeComparison() gives mean ± sd, paired differences, targets, budgets and falls", async (t) => {
  const summary = summarizeComparison(comparison, await storeOf(t, golden));
  assert.deepEqual([summary.runs, summary.metric], [{ done: 8, planned: 8 }, "accuracy"]);
  const [fedit, federa] = summary.settings[0]!.methods;
  assert.deepEqual([fedit!.learningRate, fedit!.tuned!.edge, federa!.tuned], [0.2, "highest", null]);
  const near = (actual: number | null | undefined, expected: number) =>
    assert.ok(Math.abs(actual! - expected) < 1e-9, `${actual} is not ${expected}`);
  near(fedit!.score!.mean, 0.6);
  near(federa!.score!.mean, 0.8);
  // √(4·0.1²/3).
  near(federa!.score!.sd, Math.sqrt(0.04 / 3));
  near(federa!.difference!.mean, 0.2);
  // t at 0.975 with 3 degrees of freedom is 3.182446.
  near(federa!.difference!.interval!.low, 0.2 - 3.182446305 * Math.sqrt(0.04 / 3) / 2);
  assert.equal(fedit!.difference, null);
  assert.deepEqual(fedit!.targets, [{ value: 0.7, reached: 0, rounds: null, bytes: null }]);
  assert.deepEqual(federa!.targets, [{ value: 0.7, reached: 4, rounds: 3, bytes: 6 }]);
  assert.deepEqual([fedit!.bytesUp, fedit!.bytesDown], [3, 3]);
  // Two rounds fit into 4 bytes, and the first of them was evaluated; none fits into 1.
  const [four, one] = federa!.budgets;
  near(four!.score!.mean, 0.65);
  assert.deepEqual([four!.round, one!.round, one!.score], [1, null, null]);
  near(fedit!.falls!.mean, 0.05);
  near(federa!.falls!.mean, 0);
  near(federa!.measures["aggregationError"], 1);
  const { variance } = summary.settings[0]!;
  assert.deepEqual(variance!.methods, ["fedit", "federa"]);
  // Means by method 0.6 and 0.8; by seed 0.65 and 0.75; the seed moves federa alone.
  near(variance!.effects.find(({ factors }) => factors.join() === "draw")!.variance, 0);
});

test("summarizeComparison() of some of the runs compares what it has, and counts what diverged", async (t) => {
  const some = await storeOf(t, (unit) => {
    if (unit.phase === "tuning") return golden(unit);
    if (unit.draw === 2 && unit.seed === 2) return undefined;
    return unit.contender.label === "federa" && unit.seed === 2 ? null : golden(unit);
  });
  const summary = summarizeComparison(comparison, some);
  const [fedit, federa] = summary.settings[0]!.methods;
  assert.deepEqual(fedit!.runs, { finished: 3, diverged: 0, planned: 4 });
  assert.deepEqual(federa!.runs, { finished: 2, diverged: 1, planned: 4 });
  assert.deepEqual([federa!.score!.count, federa!.difference!.count], [2, 2]);
  assert.match(
    comparisonTables(summary),
    /\| federa \| 0\.700 ± 0\.000 \(2\) \(1 diverged\) \| \+0\.100 \(\+0\.100 to \+0\.100\)/,
  );
  const untuned = summarizeComparison(
    comparison,
    await storeOf(t, ({ phase }) => phase === "tuning" ? undefined : []),
  );
  assert.deepEqual(untuned.settings[0]!.methods.map(({ label }) => label), ["federa"]);
  assert.equal(untuned.settings[0]!.methods[0]!.difference, null, "there is nothing to compare with");
});

test("summarizeComparison() takes methods with clients' own models out of the variance", async (t) => {
  const summary = summarizeComparison(comparison, await storeOf(t, golden, { isPersonal: true }));
  assert.equal(summary.settings[0]!.variance, null);
  assert.ok(summary.settings[0]!.methods.every(({ isPersonal }) => isPersonal));
  assert.match(comparisonTables(summary), /0\.600 ± 0\.000 own/);
});

test("scoresChart() has a panel for each setting, with a dot for each run", async (t) => {
  const svg = scoresChart(summarizeComparison(comparison, await storeOf(t, golden)));
  assert.equal(svg.match(/<circle/g)?.length, 8);
  // The scale goes from 0.6 to 1 over 210 pixels, after 16 of margin and 130 of names: 0.9 is at 146 + 157.5.
  assert.equal(svg.match(/<circle cx="303.5"/g)?.length, 2);
  assert.match(svg, />even</);
});

test("comparisonTables() says that there is nothing yet", async (t) => {
  const empty = summarizeComparison(comparison, await storeOf(t, () => undefined));
  assert.match(comparisonTables(empty), /^No run of the comparison has a record yet/);
});
