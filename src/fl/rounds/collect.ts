import { NonFiniteError } from "../../engine/mod.ts";
import { InOrder } from "../aggregation/in_order.ts";
import type { PhaseTimer } from "../phase_timer.ts";
import { type Finished, isLost, type Lost, type Participants, type RoundWork } from "../participants.ts";
import { receiveOutcome } from "./receive_outcome.ts";
import type { Shapes } from "../tensors.ts";

/** Options of {@linkcode collect}. */
export interface CollectOptions {
  readonly participants: Participants;
  /** Names and shapes of one client's upload; undefined where a stage hides what they are. */
  readonly expected: Shapes | undefined;
  readonly timer: PhaseTimer;
  /** Called with what has come, in the order of client numbers; it keeps none of the tensors. */
  use(finished: Finished): Promise<void>;
}

/**
 * Has a cohort train, and gives what comes to `use`.
 *
 * @returns the clients that were lost, ascending.
 */
export async function collect(
  work: RoundWork,
  { participants, expected, timer, use }: CollectOptions,
): Promise<Lost[]> {
  const { clients } = work;
  const order = new InOrder(clients.map(({ id }) => id));
  const lost: Lost[] = [];
  const useReady = async () => {
    for (const each of order.ready()) await use(each);
  };
  try {
    for await (const outcome of participants.train(work)) {
      timer.lap("training");
      const arrived = isLost(outcome)
        ? { finished: [], lost: [outcome] }
        : await receiveOutcome(outcome, expected);
      order.addAll(arrived.finished);
      for (const each of arrived.lost) order.lose(each.client.id);
      lost.push(...arrived.lost);
      await useReady();
    }
    const silent = new Set(order.loseMissing());
    for (const client of clients) {
      if (silent.has(client.id)) lost.push({ client, phase: "training", reason: "it sent nothing" });
    }
    await useReady();
  } finally {
    order.dispose();
  }
  return lost.sort((a, b) => a.client.id - b.client.id);
}

/**
 * Ends a run of which nobody is left.
 *
 * @param when what nobody came through, as in "round 3, in which".
 * @throws {NonFiniteError} when one of the lost is so for training that came out not finite.
 */
export function refuseDiverged(lost: readonly Lost[], when: string): void {
  const diverged = lost.find(({ diverged }) => diverged);
  if (diverged === undefined) return;
  throw new NonFiniteError(
    `Cannot continue after ${when} no client came through: client ${diverged.client.id} was lost in its ` +
      `training, as ${diverged.reason}`,
  );
}
