import { compareRuns, type ScoreStatistics, type ScoreVariance } from "../run/compare_runs.ts";
import { createMethod } from "../config/method_config.ts";
import type { MethodSummary } from "../run/summary.ts";
import type { PairedDifference } from "../statistics/paired_difference.ts";
import { meanOf, type Sample, sampleOf } from "../statistics/sample.ts";
import { chooseRate, type ChosenRate } from "./choose_rate.ts";
import type { Comparison, Contender, Setting } from "./comparison.ts";
import type { RecordStore } from "./record_store.ts";
import { rateOf, tuningRecords } from "./run_comparison.ts";
import { lastEvaluation, type UnitRecord } from "./unit_record.ts";
import { finalPlaces, finalUnit } from "./units.ts";

/** What a comparison came to, as far as it has records. */
export interface ComparisonSummary {
  readonly name: string;
  /** The score that is compared. */
  readonly metric: string;
  readonly reference: string;
  /** Runs of the comparison that have a record, and all; those that choose rates aren't counted. */
  readonly runs: { readonly done: number; readonly planned: number };
  readonly settings: readonly SettingSummary[];
}

/** What methods came to in one setting. */
export interface SettingSummary {
  readonly label: string;
  /** In the order of the configuration, without methods that have no record. */
  readonly methods: readonly ContenderSummary[];
  /** What makes the score of methods vary that train one model for all, over those that finished every replicate. */
  readonly variance: ScoreVariance | null;
}

/** What a method came to in one setting; means are over its runs. */
export interface ContenderSummary {
  readonly label: string;
  readonly learningRate: number;
  /** How that was chosen; null where it was given. */
  readonly tuned: ChosenRate | null;
  readonly runs: { readonly finished: number; readonly diverged: number; readonly planned: number };
  /** Whether its scores are means over clients' own models, each on its client's test data. */
  readonly isPersonal: boolean;
  readonly trainableParameters: number | null;
  readonly score: Sample | null;
  /** The score of each run that finished. */
  readonly scores: readonly number[];
  readonly loss: Sample | null;
  /** Its score minus the reference's; null for the reference itself, and where one of both is of clients' own models. */
  readonly difference: PairedDifference | null;
  /** The score over clients on their own test data, where they were scored. */
  readonly clients: { readonly mean: Sample; readonly worstDecile: Sample } | null;
  readonly bytesUp: number | null;
  readonly bytesDown: number | null;
  readonly targets: readonly TargetSummary[];
  readonly budgets: readonly BudgetSummary[];
  /** Means over runs and rounds of what was measured, by name; null where nothing has that measure. */
  readonly measures: Readonly<Record<string, number | null>>;
  /** How much the score fell from one evaluation to the next, all falls of a run together. */
  readonly falls: Sample | null;
}

/** When a score was reached. */
export interface TargetSummary {
  readonly value: number;
  /** Runs that reached it. */
  readonly reached: number;
  /** Means over these. */
  readonly rounds: number | null;
  readonly bytes: number | null;
}

/** The score at the last evaluation before a method's traffic, up and down, would pass a number of bytes; null of one that sends nothing. */
export interface BudgetSummary {
  readonly bytes: number;
  readonly score: Sample | null;
  readonly difference: PairedDifference | null;
  /** The round of that evaluation, as a mean over runs. */
  readonly round: number | null;
}

/** Summarises the records of a comparison, complete or not. */
export function summarizeComparison(comparison: Comparison, store: RecordStore): ComparisonSummary {
  const places = finalPlaces(comparison);
  const settings = comparison.settings.map((setting) => {
    const found = comparison.contenders.flatMap((contender): Found[] => {
      const learningRate = rateOf(comparison, { contender, setting, store });
      if (learningRate === undefined) return [];
      const own = places.filter(({ setting: { label }, replicate: { draw } }) =>
        label === setting.label && (contender.draws?.includes(draw) ?? true)
      );
      const records = own.flatMap(({ replicate }) =>
        store.get(finalUnit({ contender, setting, ...replicate, learningRate }).key) ?? []
      );
      return [{ contender, learningRate, records, planned: own.length }];
    });
    return { setting, found };
  });
  const all = settings.flatMap(({ found }) => found.flatMap(({ records }) => records));
  const planned = comparison.contenders.reduce(
    (sum, { draws }) =>
      sum + places.filter(({ replicate: { draw } }) => draws?.includes(draw) ?? true).length,
    0,
  );
  const metric = all[0]?.metric ?? store.all[0]?.metric ?? "score";
  return {
    name: comparison.name,
    metric,
    reference: comparison.reference,
    runs: { done: all.length, planned },
    settings: settings.map(({ setting, found }) =>
      summarizeSetting(comparison, setting, { found, metric, store })
    ),
  };
}

/** A method's records in a setting. */
interface Found {
  readonly contender: Contender;
  readonly learningRate: number;
  readonly records: readonly UnitRecord[];
  readonly planned: number;
}

function summarizeSetting(
  comparison: Comparison,
  setting: Setting,
  { found, metric, store }: {
    readonly found: readonly Found[];
    readonly metric: string;
    readonly store: RecordStore;
  },
): SettingSummary {
  const { reference, targets, byteBudgets } = comparison;
  const known = found.filter(({ records }) => records.length > 0);
  const isReference = ({ contender: { label } }: Found) => label === reference;
  const base = known.find(isReference);
  const ordered = [...known.filter(isReference), ...known.filter((each) => !isReference(each))];
  const compared = (bytes = Infinity) =>
    compareRuns(
      ordered.flatMap(({ contender, records }) =>
        records.map((record) => toSummary(contender, record, { bytes }))
      ),
    );
  const whole = compared();
  const limited = byteBudgets.map((bytes) => ({ bytes, statistics: compared(bytes)[metric] }));
  const common = known.filter(({ contender: { method }, records }) =>
    !areOwn(records) && !createMethod(method).isCentral
  );
  const shared = compareRuns(
    common.flatMap(({ contender, records }) => records.map((record) => toSummary(contender, record))),
  );
  return {
    label: setting.label,
    methods: known.map(({ contender, learningRate, records, planned }): ContenderSummary => {
      const { label } = contender;
      const finished = records.filter(({ diverged }) => diverged === undefined);
      const isPersonal = areOwn(records);
      const isComparable = base !== undefined && areOwn(base.records) === isPersonal;
      const sends = finished.some(({ rounds }) => rounds.some(({ bytesUp }) => bytesUp > 0));
      const tuning = contender.learningRates.length > 1
        ? tuningRecords(comparison, { contender, setting, store })
        : undefined;
      const ofMethod = (statistics: ScoreStatistics | undefined) =>
        statistics?.methods.find((each) => each.label === label) ?? null;
      const [mean, worst] = ["mean", "worstDecile"].map((part) =>
        ofMethod(whole[`clients.${metric}.${part}`])?.after ?? null
      );
      return {
        label,
        learningRate,
        tuned: tuning === undefined ? null : chooseRate(tuning, comparison.tuning),
        runs: { finished: finished.length, diverged: records.length - finished.length, planned },
        isPersonal,
        trainableParameters: records[0]!.trainableParameters,
        score: ofMethod(whole[metric])?.after ?? null,
        scores: finished.flatMap((record) => lastEvaluation(record)?.scores[metric] ?? []),
        loss: ofMethod(whole["loss"])?.after ?? null,
        difference: isComparable ? ofMethod(whole[metric])?.difference ?? null : null,
        clients: mean && worst ? { mean, worstDecile: worst } : null,
        bytesUp: meanOver(finished, ({ rounds }) => total(rounds.map(({ bytesUp }) => bytesUp))),
        bytesDown: meanOver(finished, ({ rounds }) => total(rounds.map(({ bytesDown }) => bytesDown))),
        targets: targets.map((value) => reachedBy(finished, { metric, value })),
        budgets: limited.map(({ bytes, statistics }) => ({
          bytes,
          score: sends ? ofMethod(statistics)?.after ?? null : null,
          difference: sends && isComparable ? ofMethod(statistics)?.difference ?? null : null,
          round: meanOver(
            finished,
            (record) => within(record, bytes).findLast(({ test }) => test)?.round ?? null,
          ),
        })),
        measures: measuresOf(finished),
        falls: sampleOf(finished.map((record) => fallsOf(record, metric))),
      };
    }),
    variance: shared[metric]?.variance ?? null,
  };
}

/** Whether scores are of clients' own models, each on its client's test data, so that others don't compare with them. */
function areOwn(records: readonly UnitRecord[]): boolean {
  return records.some(({ isPersonal }) => isPersonal);
}

/** A record as the summary of a run, whose score is that of the last evaluation within some bytes. */
function toSummary(
  { method, label }: Contender,
  record: UnitRecord,
  { bytes = Infinity }: { readonly bytes?: number } = {},
): MethodSummary {
  const rounds = within(record, bytes);
  const last = rounds.findLast(({ test }) => test !== null);
  return {
    label,
    method: method.method,
    draw: record.draw,
    seed: record.seed,
    status: record.diverged === undefined ? "finished" : "failed",
    learningRate: record.learningRate,
    trainableParameters: record.trainableParameters,
    rounds: rounds.length,
    before: record.before,
    after: last?.test ?? null,
    roundsToTarget: null,
    bytesUp: total(rounds.map(({ bytesUp }) => bytesUp)),
    bytesDown: total(rounds.map(({ bytesDown }) => bytesDown)),
    seconds: record.seconds,
    lost: 0,
    clients: last?.clients ?? null,
    measures: {},
  };
}

/** The rounds of a unit until its traffic, up and down, would pass a number of bytes. */
function within({ rounds }: UnitRecord, bytes: number): UnitRecord["rounds"] {
  let sum = 0;
  const end = rounds.findIndex(({ bytesUp, bytesDown }) => (sum += bytesUp + bytesDown) > bytes);
  return end < 0 ? rounds : rounds.slice(0, end);
}

function reachedBy(
  records: readonly UnitRecord[],
  { metric, value }: { readonly metric: string; readonly value: number },
): TargetSummary {
  const reached = records.flatMap(({ rounds }) => {
    const end = rounds.findIndex(({ test }) => (test?.scores[metric] ?? -Infinity) >= value);
    if (end < 0) return [];
    const passed = rounds.slice(0, end + 1);
    return [{
      round: rounds[end]!.round,
      bytes: total(passed.map(({ bytesUp, bytesDown }) => bytesUp + bytesDown)),
    }];
  });
  return {
    value,
    reached: reached.length,
    rounds: meanOver(reached, ({ round }) => round),
    bytes: meanOver(reached, ({ bytes }) => bytes),
  };
}

function measuresOf(records: readonly UnitRecord[]): Record<string, number | null> {
  const names = new Set(
    records.flatMap(({ rounds }) => rounds.flatMap(({ measures }) => Object.keys(measures))),
  );
  return Object.fromEntries([...names].map((name) => [
    name,
    meanOver(records.flatMap(({ rounds }) => rounds), ({ measures }) => measures[name] ?? null),
  ]));
}

/** Σ max(0, s(t − 1) − s(t)) over the evaluations t of a unit after the first. */
function fallsOf({ rounds }: UnitRecord, metric: string): number {
  const scores = rounds.flatMap(({ test }) => test?.scores[metric] ?? []);
  return total(scores.slice(1).map((score, i) => Math.max(0, scores[i]! - score)));
}

function meanOver<Item>(items: readonly Item[], value: (item: Item) => number | null): number | null {
  const values = items.flatMap((item) => value(item) ?? []);
  return values.length > 0 ? meanOf(values) : null;
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
