import type { RoundReport } from "../../fl/mod.ts";
import type { Task } from "../../tasks/mod.ts";
import type { Config } from "../config/config.ts";
import type { Preparation } from "./prepare.ts";

/** What rounds are judged by. */
export interface JudgeOptions extends Pick<Preparation, "target"> {
  readonly config: Pick<Config, "stopEarly">;
  readonly task: Pick<Task, "metrics" | "lowerIsBetter">;
}

/** The score that a run watches: that of its target, or the task's first. */
function watchedMetric({ target, task: { metrics } }: JudgeOptions): string {
  return target?.metric ?? metrics[0]!;
}

/** Whether a score reaches a target. */
export function reaches(target: NonNullable<Preparation["target"]>, score: number | undefined): boolean {
  if (score === undefined) return false;
  return target.lowerIsBetter ? score <= target.value : score >= target.value;
}

/** The first of the rounds with the best score that a run watches; undefined where none was evaluated. */
export function bestRound(reports: readonly RoundReport[], options: JudgeOptions): RoundReport | undefined {
  const metric = watchedMetric(options);
  const sign = options.task.lowerIsBetter?.includes(metric) ? -1 : 1;
  let best: RoundReport | undefined;
  let most = -Infinity;
  for (const report of reports) {
    const score = report.test?.scores[metric];
    if (score !== undefined && sign * score > most) [best, most] = [report, sign * score];
  }
  return best;
}

/**
 * Why a method is to end after its last round; undefined when it is to go on. It depends on the reports alone, so that a run that is
 * resumed ends where one that never stopped does.
 */
export function stopReason(reports: readonly RoundReport[], options: JudgeOptions): string | undefined {
  const { target, config: { stopEarly } } = options;
  const last = reports.at(-1);
  if (stopEarly === undefined || last === undefined || last.test === null) return undefined;
  const { atTarget, patience } = stopEarly;
  if (atTarget && target !== undefined && reaches(target, last.test.scores[target.metric])) {
    return `the target is reached, ${target.metric} ${target.value}`;
  }
  const best = bestRound(reports, options)?.round ?? 0;
  if (patience === undefined || last.round - best < patience) return undefined;
  return `${watchedMetric(options)} was best in round ${best}, ${last.round - best} rounds ago`;
}
