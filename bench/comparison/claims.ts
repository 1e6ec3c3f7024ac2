import { markdownTable } from "../../src/cli/tables/markdown_table.ts";
import { number } from "../../src/cli/tables/results_table.ts";
import type { Comparison } from "../../src/experiment/compare/comparison.ts";
import type { RecordStore } from "../../src/experiment/compare/record_store.ts";
import { rateOf } from "../../src/experiment/compare/run_comparison.ts";
import { finalPlaces, finalUnit } from "../../src/experiment/compare/units.ts";
import type { UnitRecord } from "../../src/experiment/compare/unit_record.ts";
import { meanOf, sampleOf } from "../../src/experiment/statistics/sample.ts";
import { type JobSize, roundFlops, secondsToScore } from "./time_to_score.ts";

/** The paper's four baselines, and FeDeRA. */
export const PAPER = ["full", "fedbf", "fedap", "fedit", "federa"];

/** The job of `snips.json` on MiniLM: 6 layers of 4·384² + 2·384·1536 weights, 4 steps of 4 texts of 12.5 tokens on average. */
const job: JobSize = {
  clientsPerRound: 5,
  tokensPerRound: 4 * 4 * 12.5,
  linearWeights: 6 * (4 * 384 ** 2 + 2 * 384 * 1536),
  weightsPassedBack: 6 * (4 * 384 ** 2 + 2 * 384 * 1536),
};

/** The share of the encoder's layers that gradients pass back through. */
const passedBack: Readonly<Record<string, number>> = {
  fedit: 1 / 2,
  federa: 1 / 2,
};

/** One of the paper's methods in one setting, over the draws and seeds that all five have. */
interface Claim {
  readonly setting: string;
  readonly label: string;
  readonly trained: number;
  readonly scores: readonly number[];
  readonly megabytes: number;
  /** Until full fine-tuning's mean score; of the runs that reached it. */
  readonly seconds: readonly number[];
}

/** A table of what the paper claims, on the runs of full fine-tuning; empty without any. */
export function claimsTable(
  comparison: Comparison,
  store: RecordStore,
): string {
  const claims = comparison.settings.flatMap((setting) => {
    const byMethod = new Map(PAPER.flatMap((label) => {
      const contender = comparison.contenders.find((each) => each.label === label);
      const learningRate = contender &&
        rateOf(comparison, { contender, setting, store });
      if (contender === undefined || learningRate === undefined) return [];
      const records = finalPlaces(comparison).filter((place) => place.setting === setting).flatMap((
        { replicate },
      ) =>
        store.get(
          finalUnit({ contender, setting, ...replicate, learningRate }).key,
        ) ?? []
      );
      return [[label, records] as const];
    }));
    const has = (label: string, { draw, seed }: UnitRecord) =>
      byMethod.get(label)?.some((each) => each.draw === draw && each.seed === seed) === true;
    const shared = (byMethod.get("full") ?? []).filter((record) =>
      PAPER.every((label) => has(label, record))
    );
    const isShared = (record: UnitRecord) =>
      shared.some(({ draw, seed }) => record.draw === draw && record.seed === seed);
    if (shared.length === 0) return [];
    const goal = meanOf(shared.map(scoreOf));
    return PAPER.map((label): Claim => {
      const records = byMethod.get(label)!.filter(isShared);
      const trained = records[0]!.trainableParameters!;
      const flops = roundFlops(
        {
          ...job,
          weightsPassedBack: job.weightsPassedBack * (passedBack[label] ?? 1),
        },
        trained,
      );
      return {
        setting: setting.label,
        label,
        trained,
        scores: records.map(scoreOf),
        megabytes: meanOf(
          records.map(({ rounds }) =>
            rounds.reduce(
              (sum, { bytesUp, bytesDown }) => sum + bytesUp + bytesDown,
              0,
            ) / 1e6
          ),
        ),
        seconds: records.flatMap((record) => secondsToScore(record, { ...job, score: goal, flops }) ?? []),
      };
    });
  });
  const full = (setting: string) => claims.find((each) => each.setting === setting && each.label === "full")!;
  return markdownTable(claims, [
    { title: "setting", cell: ({ setting }) => setting },
    { title: "method", cell: ({ label }) => label },
    number("trained", ({ setting, trained }) => {
      const part = 100 * trained / full(setting).trained;
      return `${trained.toLocaleString("en")} (${part.toFixed(2)} %)`;
    }),
    number("score", ({ scores }) => describe(scores)),
    number("MB a run", ({ megabytes }) => megabytes.toFixed(1)),
    number("seconds to full's score", ({ seconds, scores }) => {
      if (seconds.length === 0) return `none of ${scores.length}`;
      return `${meanOf(seconds).toFixed(1)}${
        seconds.length < scores.length ? ` (${seconds.length} of ${scores.length})` : ""
      }`;
    }),
    number("saved", ({ setting, seconds }) => {
      const slow = full(setting).seconds;
      if (seconds.length === 0 || slow.length === 0) return undefined;
      return `${(100 * (1 - meanOf(seconds) / meanOf(slow))).toFixed(1)} %`;
    }),
  ]);
}

function scoreOf({ rounds, metric }: UnitRecord): number {
  return rounds.at(-1)?.test?.scores[metric] ?? NaN;
}

function describe(scores: readonly number[]): string {
  const { mean, sd, count } = sampleOf(scores)!;
  return `${mean.toFixed(3)}${sd === null ? "" : ` ± ${sd.toFixed(3)}`} (${count})`;
}
