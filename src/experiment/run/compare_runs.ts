import { crossedEffects, type Effect } from "../statistics/crossed_effects.ts";
import { type PairedDifference, pairedDifference } from "../statistics/paired_difference.ts";
import { type Sample, sampleOf } from "../statistics/sample.ts";
import type { MethodSummary } from "./summary.ts";

/** Statistics of one score, or of the loss, over the replicates. */
export interface ScoreStatistics {
  /** In the order of the configuration. */
  readonly methods: readonly MethodStatistics[];
  /** What makes the score vary; null if no method finished every replicate. */
  readonly variance: ScoreVariance | null;
}

/** One method's score over the replicates that it finished. */
export interface MethodStatistics {
  readonly label: string;
  /** Null if it finished none. */
  readonly before: Sample | null;
  readonly after: Sample | null;
  /**
   * Its score minus the first method's, over the replicates that both finished; null for the first method itself, and if
   * there are none.
   */
  readonly difference: PairedDifference | null;
}

/** A score's variance and where it comes from, see {@linkcode crossedEffects}. */
export interface ScoreVariance {
  /** The methods that finished every replicate, which are the ones compared. */
  readonly methods: readonly string[];
  /** Of `method`, `draw` and `seed`, as far as there are several. */
  readonly effects: readonly Effect[];
}

/**
 * Compares methods over the replicates of a configuration, score by score: those of the evaluation by their names, its `loss`, and
 * scores over clients by their path, such as `clients.accuracy.worstDecile`.
 */
export function compareRuns(runs: readonly MethodSummary[]): Record<string, ScoreStatistics> {
  const labels = [...new Set(runs.map(({ label }) => label))];
  const finished = runs.filter(({ status, after }) => status === "finished" && after !== null);
  const names = new Set(finished.flatMap((run) => Object.keys(scoresOf(run, "after"))));
  const ofMethod = (label: string) => finished.filter((run) => run.label === label);
  const first = ofMethod(labels[0]!);
  return Object.fromEntries([...names].map((name) => [name, {
    methods: labels.map((label) => ({
      label,
      before: sampleOf(valuesOf(ofMethod(label), "before", name)),
      after: sampleOf(valuesOf(ofMethod(label), "after", name)),
      difference: label === labels[0] ? null : pairedDifference(differences(ofMethod(label), first, name)),
    })),
    variance: varianceOf(runs, name),
  }]));
}

/** The scores and the loss of a run before or after training, by name. */
function scoresOf(run: MethodSummary, when: "before" | "after"): Readonly<Record<string, number>> {
  const evaluation = run[when];
  if (evaluation === null) return {};
  const { loss, scores } = evaluation;
  return { loss, ...scores, ...when === "after" ? clientScores(run) : {} };
}

/** Scores over clients, named as the path to them, such as `clients.accuracy.worstDecile`. */
function clientScores({ clients }: MethodSummary): Record<string, number> {
  const named = Object.entries(clients?.scores ?? {}).flatMap(([name, spread]) =>
    Object.entries(spread).map(([part, value]) => [`clients.${name}.${part}`, value as number])
  );
  return Object.fromEntries(named);
}

/** The score of each run that has it; a score that isn't defined, such as the correlation of equal values, counts as missing. */
function valuesOf(runs: readonly MethodSummary[], when: "before" | "after", name: string): number[] {
  return runs.flatMap((run) => valueOf(run, when, name) ?? []);
}

function valueOf(run: MethodSummary, when: "before" | "after", name: string): number | undefined {
  const value = scoresOf(run, when)[name];
  return value !== undefined && Number.isFinite(value) ? value : undefined;
}

function differences(runs: readonly MethodSummary[], first: readonly MethodSummary[], name: string) {
  return runs.flatMap((run) => {
    const { draw, seed } = run;
    const other = first.find((each) => each.draw === draw && each.seed === seed);
    const [value, reference] = [valueOf(run, "after", name), other && valueOf(other, "after", name)];
    return value === undefined || reference === undefined
      ? []
      : [{ draw, seed, difference: value - reference }];
  });
}

function varianceOf(runs: readonly MethodSummary[], name: string): ScoreVariance | null {
  const [labels, draws, seeds] = (["label", "draw", "seed"] as const).map((
    key,
  ) => [...new Set(runs.map((run) => run[key]))]) as [string[], number[], number[]];
  const values = new Map(labels.map((label) => [
    label,
    draws.flatMap((draw) =>
      seeds.flatMap((seed) => {
        const run = runs.find((each) => each.label === label && each.draw === draw && each.seed === seed);
        return run?.status === "finished" ? valueOf(run, "after", name) ?? [] : [];
      })
    ),
  ]));
  const methods = labels.filter((label) => values.get(label)!.length === draws.length * seeds.length);
  if (methods.length === 0) return null;
  const effects = crossedEffects(methods.flatMap((label) => values.get(label)!), {
    method: methods.length,
    draw: draws.length,
    seed: seeds.length,
  });
  return { methods, effects };
}
