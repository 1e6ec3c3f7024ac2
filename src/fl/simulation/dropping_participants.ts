import type { Finished, Lost, Outcome, Participants, RoundWork } from "../participants.ts";
import { dropoutOf, type DropoutPhase, type Dropouts } from "../privacy/secure_aggregation/dropouts.ts";

/** Options of {@linkcode DroppingParticipants}. */
export interface DroppingOptions {
  readonly dropouts: Dropouts;
  readonly seed: number;
}

/** What a client that is lost in a phase didn't send; one that is lost later has sent its upload. */
const unsent: Readonly<Partial<Record<DropoutPhase, Pick<Lost, "phase" | "reason">>>> = {
  keys: { phase: "download", reason: "it was lost before it sent its keys" },
  shares: { phase: "download", reason: "it was lost before it shared its secrets" },
  vector: { phase: "upload", reason: "it was lost before it sent its masked upload" },
};

/** Whether an upload of a client is lost, and how. */
export function uploadLoss(
  { dropouts, seed }: DroppingOptions,
  { round, client }: { readonly round: number; readonly client: number },
): Pick<Lost, "phase" | "reason"> | undefined {
  const phase = dropoutOf(dropouts, { seed, round, client });
  return phase && unsent[phase];
}

/**
 * Participants of a secure aggregation: of the cohort those train whose uploads will come, and the bytes of these are left to
 * the aggregation, which counts its messages.
 */
export class DroppingParticipants implements Participants {
  readonly #inner: Participants;
  readonly #options: DroppingOptions;

  constructor(inner: Participants, options: DroppingOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  /** Trains the rest of the cohort; a rehearsal, which is for rounds to come too, trains all. */
  async *train(work: RoundWork): AsyncGenerator<Outcome> {
    const { round, clients, model: { gpu } } = work;
    const left = [];
    for (const client of clients) {
      const loss = gpu.isRehearsing ? undefined : uploadLoss(this.#options, { round, client: client.id });
      if (loss === undefined) left.push(client);
      else yield { client, ...loss };
    }
    if (left.length === 0) return;
    for await (const outcome of this.#inner.train({ ...work, clients: left })) {
      yield "client" in outcome ? outcome : withoutUploadBytes(outcome);
    }
  }
}

function withoutUploadBytes(finished: Finished): Finished {
  return { ...finished, bytesUp: finished.clients.map(() => 0) };
}
