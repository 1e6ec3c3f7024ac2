import type { Trained } from "./contenders.ts";
import type { Work } from "./prepare_job.ts";

/**
 * How far losses may differ, relative to the loss. Both sum f32 in other orders, which moves a step's gradients by some 1e-6 of
 * themselves; AdamW divides by their size, so parameters whose gradient is near zero may go the other way by one learning rate. Over
 * the jobs here that moves a loss by less than 1e-6.
 */
const LOSS_TOLERANCE = 1e-5;
/** Probabilities come from one forward pass. */
const PROBABILITY_TOLERANCE = 1e-5;

/** Lists in what a peer has not done what the job says, or come to something else than federa. */
export function otherTraining(
  peer: Trained,
  ours: Trained,
  { work, numTests }: { readonly work: Work; readonly numTests: number },
): string[] {
  const counts = Object.entries(work).flatMap(([name, expected]) =>
    [peer, ours].flatMap((
      { work: { [name as keyof Work]: found = expected } },
    ) => found === expected ? [] : [`${name} ${found} instead of ${expected}`])
  );
  const scores = (["before", "after"] as const).flatMap((when) => {
    const [theirs, own] = [peer[when], ours[when]];
    return [
      ...!(Math.abs(theirs.loss - own.loss) <= LOSS_TOLERANCE * own.loss)
        ? [`loss ${when} training ${theirs.loss}, federa's ${own.loss}`]
        : [],
      // A tie of two classes may be broken either way.
      ...!(Math.abs(theirs.accuracy - own.accuracy) * numTests < 1.5)
        ? [
          `accuracy ${when} training ${theirs.accuracy}, federa's ${own.accuracy}`,
        ]
        : [],
    ];
  });
  return [...counts, ...scores];
}

/** Lists what is wrong with a peer's probabilities, beside federa's. */
export function otherPredictions(
  peer: readonly (readonly number[])[],
  ours: readonly (readonly number[])[],
): string[] {
  if (peer.length !== ours.length) {
    return [`${peer.length} predictions instead of ${ours.length}`];
  }
  const largest = Math.max(
    ...peer.map((row, i) => Math.max(...row.map((value, j) => Math.abs(value - ours[i]![j]!)))),
  );
  return largest <= PROBABILITY_TOLERANCE ? [] : [`a probability differs by ${largest}`];
}
