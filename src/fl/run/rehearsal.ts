import { PhaseTimer } from "../phase_timer.ts";
import type { Run, RunOptions } from "./run.ts";
import type { Prepared } from "./options.ts";
import type { RoundPlan } from "../method.ts";
import { disposeTree } from "../tree.ts";

/**
 * What a run says of itself before its first round.
 *
 * @param options.evaluate evaluates the global model, where that is done at all.
 */
export function rehearsal(
  run: Run,
  { method, fleet, rounds, asynchrony, evaluate }:
    & Pick<RunOptions, "method" | "fleet" | "rounds" | "asynchrony">
    & { readonly evaluate: (() => Promise<unknown>) | undefined },
): Prepared {
  const { model: { gpu }, state: { round, method: state } } = run;
  const first = round + 1;
  const like = asynchrony ? first : largestRound({ fleet, rounds }, first);
  return {
    gpu,
    largestCohort: asynchrony?.inFlight ?? fleet.sample(like).length,
    rehearse: () =>
      gpu.rehearse(async () => {
        const { state: next } = await run.play(first, { timer: new PhaseTimer(), like });
        // A round that only looks, such as one that gathers a gradient, says nothing of those that train.
        if (first < rounds && !trainSame(method.plan(state, first), method.plan(next, first + 1))) {
          const { state: last } = await run.play(first + 1, { timer: new PhaseTimer(), like, from: next });
          disposeTree(last, [next, state]);
        }
        disposeTree(next, state);
        await evaluate?.();
      }),
  };
}

/** Of the rounds from one on, the first with the most clients. */
function largestRound({ fleet, rounds }: Pick<RunOptions, "fleet" | "rounds">, first: number): number {
  let [largest, most] = [first, 0];
  for (let round = first; round <= rounds; round++) {
    const { length } = fleet.sample(round);
    if (length > most) [largest, most] = [round, length];
    // Others can't have more.
    if (fleet.sampling?.kind === "uniform") break;
  }
  return largest;
}

/** Whether two rounds train the same. */
function trainSame(one: RoundPlan, other: RoundPlan): boolean {
  return one.trained.length === other.trained.length &&
    one.trained.every((name, i) => other.trained[i] === name);
}
