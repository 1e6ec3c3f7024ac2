import type { RoundReport, SimulationEvent } from "../../fl/mod.ts";
import type { Reporter } from "../../experiment/report/reporter.ts";
import { TimeLeft } from "./time_left.ts";

type ProgressEvent = Extract<SimulationEvent, { type: "progress" }>;

const recentRounds = 5;
const units = { initialization: "layers", training: "steps", evaluation: "texts" } as const;

/** Shows a method's progress in its round, and how long its remaining rounds will take. */
export class MethodProgress {
  readonly #label: string;
  readonly #rounds: number;
  /** Estimates the pace of the first round. */
  readonly #time = new TimeLeft();
  /** Seconds of the last few rounds. */
  #seconds: number[] = [];
  /** Share of a round's time until it is evaluated. */
  #trainingShare = 1;

  constructor(label: string, rounds: number) {
    this.#label = label;
    this.#rounds = rounds;
  }

  /** Shows an event. */
  show({ round, phase, done, total }: ProgressEvent, reporter: Reporter): void {
    const unit = units[phase];
    if (round === 0) return reporter.progress(`${this.#label}: ${phase}`, done, total, { unit });
    const share = phase === "training"
      ? this.#trainingShare * done / total
      : this.#trainingShare + (1 - this.#trainingShare) * done / total;
    const [finished, pace] = [round - 1 + share, mean(this.#seconds)];
    const secondsLeft = pace === undefined
      ? this.#time.update(finished, this.#rounds)
      : (this.#rounds - finished) * pace;
    const suffix = phase === "training" ? "" : ` ${phase}`;
    const task = `${this.#label}: round ${round}/${this.#rounds}${suffix}`;
    reporter.progress(task, done, total, { unit, secondsLeft });
  }

  /** Learns from a round how its time is divided between training and evaluation. */
  learn(
    { test, seconds: { training, aggregation, measuring, evaluation } }: Pick<
      RoundReport,
      "test" | "seconds"
    >,
  ): void {
    const before = training + aggregation + measuring;
    if (test !== null) this.#trainingShare = before / (before + evaluation);
    this.#seconds = [...this.#seconds, before + evaluation].slice(-recentRounds);
  }
}

function mean(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value) / values.length;
}
