import type { Config, MethodConfig } from "../config/config.ts";

/** A method of a comparison, and the learning rates that it's tuned over. */
export interface Contender {
  /** Its name in tables. */
  readonly label: string;
  /** With the first of its rates. */
  readonly method: MethodConfig;
  /** Its options as they were written, without its label and rates. */
  readonly written: Readonly<Record<string, unknown>>;
  /** Ascending; a single one is used as it is. */
  readonly learningRates: readonly number[];
  /** Whether clients are scored too, each on its own part of the test set. */
  readonly clientScores: boolean;
  /** The draws it's run on, where not on all, as where it costs too much. */
  readonly draws?: readonly number[] | undefined;
}

/** What all methods are compared under, such as one partition. */
export interface Setting {
  readonly label: string;
  /** The run of all methods; `draws` and `seeds` are those of the comparison. */
  readonly config: Config;
  /** The configuration as it was written, without defaults and methods. */
  readonly written: Readonly<Record<string, unknown>>;
}

/** On what learning rates are chosen, apart from everything that is compared. */
export interface RateTuning {
  /** The setting that each method is tuned in; every one in itself where there is none. */
  readonly setting: string | null;
  readonly draw: number;
  readonly seed: number;
  /** Where scores differ by no more, the lower loss decides. */
  readonly tolerance: number;
}

/** Runs of many methods in several settings, each tuned in the same way. */
export interface Comparison {
  readonly name: string;
  readonly settings: readonly Setting[];
  readonly contenders: readonly Contender[];
  readonly tuning: RateTuning;
  /** The label of the method that others are compared with. */
  readonly reference: string;
  /** Scores whose first round is told. */
  readonly targets: readonly number[];
  /** Bytes up and down, all clients and rounds together, at which scores are compared. */
  readonly byteBudgets: readonly number[];
}

/** The setting whose tuning a setting uses. */
export function tunedIn({ tuning }: Comparison, { label }: Setting): string {
  return tuning.setting ?? label;
}
