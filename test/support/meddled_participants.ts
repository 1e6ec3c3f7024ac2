import type { Finished, Outcome, Participants, RoundWork } from "../../src/fl/mod.ts";
import { isLost } from "../../src/fl/mod.ts";

/** What is done to the outcomes of a round on their way to the server; it owns them. */
export type Meddle = (outcomes: AsyncIterable<Outcome>, work: RoundWork) => AsyncIterable<Outcome>;

/** Participants to whom something happens on the way. */
export function meddled(participants: Participants, meddle: Meddle): Participants {
  return { train: (work) => meddle(participants.train(work), work) };
}

/** Frees what clients sent. */
export function dropOutcome({ values, keep }: Finished): void {
  for (const each of [...values.values(), ...keep.values()]) each.dispose();
}

/** Some clients are lost in place of sending something; `before` tells so before anyone sends. */
export function losing(ids: readonly number[], when: "before" | "during" | "after" | "silently"): Meddle {
  return async function* (outcomes, { clients }) {
    const lost = clients.filter(({ id }) => ids.includes(id))
      .map((client) => ({ client, phase: "upload", reason: "the line broke" }) as const);
    if (when === "before") yield* lost;
    for await (const outcome of outcomes) {
      const id = isLost(outcome) ? outcome.client.id : outcome.clients[0]!.id;
      if (!ids.includes(id)) yield outcome;
      else {
        if (!isLost(outcome)) dropOutcome(outcome);
        if (when === "during") yield* lost.filter(({ client }) => client.id === id);
      }
    }
    // The last to be lost is told first.
    if (when === "after") yield* lost.reverse();
  };
}
