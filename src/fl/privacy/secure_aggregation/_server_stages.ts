import { ProtocolError, TooFewClientsError } from "./errors.ts";
import type { SecureMessage } from "./messages.ts";

/** What the server waits for, in order. */
const stages = ["keys", "shares", "vectors", "unmasking"] as const;
type Stage = (typeof stages)[number];

/** Some clients, by their numbers. */
interface Clients {
  has(id: number): boolean;
}

/** Options of {@linkcode ServerStages}. */
export interface ServerStagesOptions {
  readonly session: string;
  /** For each client itself and its neighbours, ascending. */
  readonly holders: ReadonlyMap<number, readonly number[]>;
  /** Shares that give a secret back. */
  readonly threshold: number;
}

/** The order of a secure aggregation on the server: whose message is taken when, and whether enough clients are left to go on. */
export class ServerStages {
  readonly #options: ServerStagesOptions;
  #done = 0;

  constructor(options: ServerStagesOptions) {
    this.#options = options;
  }

  /** The holders of a client's shares that are among some. */
  holdersIn(present: Clients, id: number): number[] {
    return this.#options.holders.get(id)!.filter((each) => present.has(each));
  }

  /**
   * Makes sure that a message belongs here.
   *
   * @param options.from who may send it, and who has sent one before.
   * @throws {ProtocolError} for a message of another stage or session, of a stranger, or one that comes twice.
   */
  check(
    { session, client }: SecureMessage,
    stage: Stage,
    { from, seen }: { readonly from: Clients; readonly seen: Clients },
  ): void {
    if (stages[this.#done] !== stage) {
      throw refused(client, `it belongs to the stage of ${stage}, and ${this.#now}`);
    }
    if (session !== this.#options.session) throw refused(client, `it belongs to session ${session}`);
    if (!from.has(client)) throw refused(client, "that client isn't part of this stage");
    if (seen.has(client)) throw refused(client, "that client has sent one before");
  }

  /**
   * Goes to the next stage.
   *
   * @throws {TooFewClientsError} when one of some clients has too few holders among those present.
   */
  close(stage: Stage, present: Clients, of: Iterable<number>): void {
    if (stages[this.#done] !== stage) {
      throw new ProtocolError(`Cannot close the stage of ${stage}: ${this.#now}`);
    }
    const { threshold } = this.#options;
    const clients = [...of];
    for (const id of clients) {
      const left = this.holdersIn(present, id).length;
      if (left >= threshold) continue;
      throw new TooFewClientsError(
        `Cannot add up uploads securely: after the stage of ${stage} client ${id} has ${left} holders of its shares left, ` +
          `and ${threshold} are needed`,
      );
    }
    if (clients.length === 0) {
      throw new TooFewClientsError(
        `Cannot add up uploads securely: no client came through the stage of ${stage}`,
      );
    }
    this.#done++;
  }

  get #now(): string {
    const stage = stages[this.#done];
    return stage === undefined ? "all stages are over" : `this is that of ${stage}`;
  }
}

/** Why a message isn't taken. */
export function refused(client: number, why: string): ProtocolError {
  return new ProtocolError(`Cannot take a message of secure aggregation from client ${client}: ${why}`);
}
