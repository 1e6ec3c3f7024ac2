import type { RoundingError } from "../../federa/mod.ts";
import type { ClientScores, PrivacyReport, RoundReport, SimulationEvent } from "../../fl/mod.ts";
import type { Evaluation, Scores, Task, TaskSet } from "../../tasks/mod.ts";
import { type MethodConfig, methodLabel } from "../config/config.ts";
import type { Experiment } from "./experiment.ts";
import { reaches } from "./stop_early.ts";

/**
 * How a method ended: after its last round, by an error, or because the run was interrupted; or that it wasn't run, because
 * the error that ended an earlier run would end it too.
 */
export type MethodStatus = "finished" | "failed" | "interrupted" | "not run";

/** What a method achieved and cost in one replicate; of a method that didn't finish, in its completed rounds. */
export interface MethodSummary {
  readonly label: string;
  readonly method: string;
  /** The seed of the partition, and that of everything else; see {@linkcode Replicate}. */
  readonly draw: number;
  readonly seed: number;
  readonly status: MethodStatus;
  /** Why it didn't finish, or wasn't run. */
  readonly error?: string;
  readonly learningRate: number;
  /** Values that a client trains and uploads; null if it failed before they were counted. */
  readonly trainableParameters: number | null;
  /** Completed rounds. */
  readonly rounds: number;
  /** The global model before the first round, and after the last, with what was tuned then. */
  readonly before: Evaluation | null;
  readonly after: Evaluation | null;
  /** The first evaluated round that reached the target; null if none did, or none was set. */
  readonly roundsToTarget: number | null;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Wall-clock seconds from initialisation to the last evaluation. */
  readonly seconds: number;
  /** Clients that were asked and lost, over all rounds. */
  readonly lost: number;
  /** Scores over clients in the last evaluated round, where clients have test data or parameters of their own. */
  readonly clients: ClientScores | null;
  /** Means over the rounds of what was measured, by name, such as `aggregationError`; null where nothing has that measure. */
  readonly measures: Readonly<Record<string, number | null>>;
  /** What clients' privacy has cost in all rounds, where it is protected. */
  readonly privacy?: PrivacyReport;
  /** How far the adapted layers started from the pretrained ones because of `precision`, by kind; see `roundingErrors`. */
  readonly rounding?: readonly RoundingError[];
}

/** What is known of a method before its first round. */
export type Started = Omit<Extract<SimulationEvent, { type: "initialized" }>, "model"> & {
  /** How far the start is from the pretrained weights where these are stored in a precision other than f32. */
  readonly rounding?: readonly RoundingError[];
};

/** What {@linkcode summarize} summarises. */
export interface MethodEvents {
  readonly started: Started | undefined;
  readonly reports: readonly RoundReport[];
  /** Scores after the last round with what was tuned then; by default those of the last round. */
  readonly after?: Evaluation | undefined;
  /** `finished` by default. */
  readonly status?: MethodStatus;
  readonly error?: string | undefined;
}

/** Summarises a method from its events. */
export function summarize(
  method: MethodConfig,
  { target, draw, seed }: Pick<Experiment, "target" | "draw" | "seed">,
  { started, reports, after, status = "finished", error }: MethodEvents,
): MethodSummary {
  const reached = target &&
    reports.find(({ test }) => reaches(target, test?.scores[target.metric]));
  return {
    label: methodLabel(method),
    method: method.method,
    draw,
    seed,
    status,
    ...(error !== undefined && { error }),
    learningRate: method.learningRate,
    trainableParameters: started?.trainableParameters ?? null,
    rounds: reports.length,
    before: started?.test ?? null,
    after: after ?? reports.at(-1)?.test ?? null,
    roundsToTarget: reached?.round ?? null,
    bytesUp: total(reports.map(({ bytesUp }) => bytesUp)),
    bytesDown: total(reports.map(({ bytesDown }) => bytesDown)),
    seconds: (started?.seconds ?? 0) + total(reports.map(({ seconds }) => total(Object.values(seconds)))),
    lost: total(reports.map(({ lost }) => lost.length)),
    clients: reports.at(-1)?.clients ?? null,
    measures: meanMeasures(reports),
    ...(reports.at(-1)?.privacy && { privacy: reports.at(-1)!.privacy! }),
    ...(started?.rounding && { rounding: started.rounding }),
  };
}

function meanMeasures(reports: readonly RoundReport[]): MethodSummary["measures"] {
  const names = new Set(reports.flatMap(({ measures }) => Object.keys(measures)));
  return Object.fromEntries(
    [...names].map((name) => [name, mean(reports.map(({ measures }) => measures[name] ?? null))]),
  );
}

/** The mean of the values that aren't null. */
function mean(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length > 0 ? total(known) / known.length : null;
}

/** Scores that need no model. */
export interface Baseline {
  readonly name: string;
  readonly scores: Scores;
}

/** The scores of always predicting the most frequent class of the training set; null if examples have several targets. */
export function majorityBaseline(
  task: Task,
  { train, test }: { readonly train: TaskSet; readonly test: TaskSet },
): Baseline | null {
  const { targets, targetsPerRow } = train;
  if (!(targets instanceof Int32Array) || targetsPerRow !== 1) return null;
  const counts = new Uint32Array(task.labels.length);
  for (const target of targets) counts[target]!++;
  const majority = counts.indexOf(counts.reduce((most, count) => Math.max(most, count), 0));
  const outputs = new Float32Array(counts.length);
  outputs[majority] = 1;
  const scorer = task.scorer(test);
  for (let row = 0; row < test.size; row++) scorer.add(row, outputs);
  return { name: `always "${task.labels[majority]}"`, scores: scorer.finish() };
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
