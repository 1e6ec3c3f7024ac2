import type { Evaluation, Task } from "../../tasks/mod.ts";

/** How one score is spread over clients. */
export interface Spread {
  /** Mean over clients, each counting once. */
  readonly mean: number;
  /** Mean of the worst tenth of the clients, at least one. */
  readonly worstDecile: number;
  /** Standard deviation over clients, 1/n. */
  readonly deviation: number;
}

/** Scores of clients, each on test data of its own. */
export interface ClientScores {
  /** Clients that have test data. */
  readonly numClients: number;
  /** Each score's spread by name; of those clients for which it has a meaning. */
  readonly scores: Readonly<Record<string, Spread>>;
}

/**
 * The spread of a task's scores over clients.
 *
 * @throws {RangeError} with no client.
 */
export function spreadOf(
  evaluations: readonly Evaluation[],
  { lowerIsBetter = [] }: Pick<Task, "lowerIsBetter">,
): ClientScores {
  if (evaluations.length === 0) throw new RangeError("Cannot spread scores over clients: there are none");
  const names = new Set(evaluations.flatMap(({ scores }) => Object.keys(scores)));
  const scores = Object.fromEntries([...names].map((name) => {
    const sign = lowerIsBetter.includes(name) ? -1 : 1;
    const values = evaluations.flatMap(({ scores }) => scores[name] ?? []).sort((a, b) => sign * (a - b));
    const mean = average(values);
    const worstDecile = average(values.slice(0, Math.ceil(values.length / 10)));
    const deviation = Math.sqrt(average(values.map((value) => (value - mean) ** 2)));
    return [name, { mean, worstDecile, deviation }];
  }));
  return { numClients: evaluations.length, scores };
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
