import { combine } from "shamir-secret-sharing";
import { ProtocolError, TooFewClientsError } from "./errors.ts";
import { concat, digest, equalBytes, keyPair, rowOf } from "./_keys.ts";
import { accumulate, addMask, pairSeed, signOf } from "./_masks.ts";
import {
  type AdvertisedKeys,
  BOX_BYTES,
  type Bytes,
  type ForwardedShares,
  KEY_BYTES,
  type KeyDirectory,
  type MaskedVector,
  type SealedShares,
  type SecureMessage,
  type Setup,
  SHARE_BYTES,
  type UnmaskRequest,
  type UnmaskShares,
} from "./messages.ts";
import { type Primitives, systemPrimitives } from "./primitives.ts";

/** Options of {@linkcode SecureServer}. */
export interface SecureServerOptions {
  /** For each client itself and its neighbours, ascending; see {@linkcode neighborGraph}. */
  readonly holders: ReadonlyMap<number, readonly number[]>;
  /** Shares that give a secret back. */
  readonly threshold: number;
  /** Numbers of a vector. */
  readonly length: number;
  /** The system's by default. */
  readonly primitives?: Primitives | undefined;
}

/** What a secure aggregation ends with. */
export interface SecureSum {
  /** The sum of the vectors that came, modulo 2³². */
  readonly sum: Uint32Array;
  /** Whose vectors these were, ascending. */
  readonly clients: readonly number[];
}

/** Messages to clients, by their numbers. */
export type Outbox<Message> = ReadonlyMap<number, Message>;

const stages = ["keys", "shares", "vectors", "unmasking"] as const;

/**
 * The server's side of one secure aggregation; see {@linkcode SecureClient}. It holds the sum of the masked vectors, no vector by itself. Each stage
 * takes messages of clients in any order until it is closed; a client whose message is missing then is lost. A message that is refused changes nothing.
 *
 * A secret that is put together from shares is checked before it's used: a mask key against the public one, a seed against the
 * commitment that its client sent with its shares. So a wrong share ends in an error, not in a wrong sum.
 *
 * @example
 * ```ts no-run
 * const server = new SecureServer({ holders: neighborGraph(clients, { shuffle }), threshold, length });
 * for (const [client, setup] of server.open()) await send(client, setup);
 * for await (const message of keysOfClients) server.addKeys(message);
 * for (const [client, directory] of server.closeKeys()) await send(client, directory);
 * // … addShares and closeShares, addVector and closeVectors, addSecrets …
 * const { sum, clients: arrived } = await server.finish();
 * ```
 */
export class SecureServer {
  readonly #options: SecureServerOptions;
  readonly #primitives: Primitives;
  readonly #session: string;
  readonly #sum: Uint32Array;
  readonly #keys = new Map<number, AdvertisedKeys>();
  readonly #boxes = new Map<number, SealedShares>();
  readonly #arrived = new Set<number>();
  readonly #secrets = new Map<number, UnmaskShares>();
  #stage = 0;

  constructor(options: SecureServerOptions) {
    this.#options = options;
    this.#primitives = options.primitives ?? systemPrimitives;
    this.#session = [...this.#primitives.randomBytes(16)]
      .map((byte) => byte.toString(16).padStart(2, "0")).join("");
    this.#sum = new Uint32Array(options.length);
  }

  /** Stage 0: what each client is told first. */
  open(): Outbox<Setup> {
    const { holders, threshold } = this.#options;
    return this.#toEach(holders.keys(), "setup", (id) => ({
      holders: Uint32Array.from(holders.get(id)!),
      threshold,
    }));
  }

  /**
   * Takes a client's public keys.
   *
   * @throws {ProtocolError} for a message of another stage or session, of a stranger, or one that comes twice or is misshapen.
   */
  addKeys(message: AdvertisedKeys): void {
    this.#check(message, 0, { from: this.#options.holders, seen: this.#keys });
    const { client, encryptionKey, maskKey } = message;
    if (encryptionKey.length !== KEY_BYTES || maskKey.length !== KEY_BYTES) {
      throw refused(client, `expected two keys of ${KEY_BYTES} bytes`);
    }
    for (const other of this.#keys.values()) {
      const pairs = [encryptionKey, maskKey].flatMap((
        own,
      ) => [[own, other.encryptionKey], [own, other.maskKey]]);
      if (pairs.some(([a, b]) => equalBytes(a!, b!))) {
        throw refused(client, `a key of it is one of client ${other.client}`);
      }
    }
    this.#keys.set(client, message);
  }

  /**
   * Closes stage 0.
   *
   * @throws {TooFewClientsError} when a client that is left has fewer holders left than the threshold.
   */
  closeKeys(): Outbox<KeyDirectory> {
    this.#close(0, this.#keys, this.#keys.keys());
    return this.#toEach(this.#keys.keys(), "key-directory", (id) => {
      const present = this.#holdersIn(this.#keys, id);
      const all = (which: "encryptionKey" | "maskKey") =>
        concat(...present.map((each) => this.#keys.get(each)![which]));
      return {
        clients: Uint32Array.from(present),
        encryptionKeys: all("encryptionKey"),
        maskKeys: all("maskKey"),
      };
    });
  }

  /**
   * Takes a client's sealed shares.
   *
   * @throws {ProtocolError} as {@linkcode SecureServer.addKeys}.
   */
  addShares(message: SealedShares): void {
    this.#check(message, 1, { from: this.#keys, seen: this.#boxes });
    const { client, clients, boxes, commitment } = message;
    const expected = this.#holdersIn(this.#keys, client).filter((id) => id !== client);
    if (
      clients.join() !== expected.join() || boxes.length !== clients.length * BOX_BYTES ||
      commitment.length !== KEY_BYTES
    ) {
      throw refused(
        client,
        `expected a box of ${BOX_BYTES} bytes for each of clients ${expected.join(", ")}, and a commitment`,
      );
    }
    this.#boxes.set(client, message);
  }

  /**
   * Closes stage 1.
   *
   * @throws {TooFewClientsError} as {@linkcode SecureServer.closeKeys}.
   */
  closeShares(): Outbox<ForwardedShares> {
    this.#close(1, this.#boxes, this.#boxes.keys());
    return this.#toEach(this.#boxes.keys(), "forwarded-shares", (id) => {
      const senders = this.#holdersIn(this.#boxes, id).filter((each) => each !== id);
      const boxes = senders.map((sender) => {
        const { clients, boxes } = this.#boxes.get(sender)!;
        return rowOf(boxes, clients.indexOf(id), BOX_BYTES);
      });
      return { clients: Uint32Array.from(senders), boxes: concat(...boxes) };
    });
  }

  /**
   * Adds a masked vector to the sum, and holds on to nothing else of it.
   *
   * @throws {ProtocolError} as {@linkcode SecureServer.addKeys}.
   */
  addVector(message: MaskedVector): void {
    this.#check(message, 2, { from: this.#boxes, seen: this.#arrived });
    const { client, vector } = message;
    if (vector.length !== this.#sum.length) {
      throw refused(client, `expected a vector of ${this.#sum.length} numbers, got ${vector.length}`);
    }
    accumulate(this.#sum, vector);
    this.#arrived.add(client);
  }

  /**
   * Closes stage 2.
   *
   * @throws {TooFewClientsError} when fewer holders than the threshold are left of a client whose masks have to be taken off.
   */
  closeVectors(): Outbox<UnmaskRequest> {
    this.#close(2, this.#arrived, this.#masked());
    return this.#toEach(this.#arrived, "unmask-request", (id) => {
      const sharers = this.#holdersIn(this.#boxes, id);
      return {
        alive: Uint32Array.from(sharers.filter((each) => this.#arrived.has(each))),
        dropped: Uint32Array.from(sharers.filter((each) => !this.#arrived.has(each))),
      };
    });
  }

  /**
   * Takes the shares that a client was asked for.
   *
   * @throws {ProtocolError} as {@linkcode SecureServer.addKeys}.
   */
  addSecrets(message: UnmaskShares): void {
    this.#check(message, 3, { from: this.#arrived, seen: this.#secrets });
    const { client, alive, dropped, seedShares, keyShares } = message;
    const sharers = this.#holdersIn(this.#boxes, client);
    const isWhole = alive.join() === sharers.filter((id) => this.#arrived.has(id)).join() &&
      dropped.join() === sharers.filter((id) => !this.#arrived.has(id)).join() &&
      seedShares.length === alive.length * SHARE_BYTES && keyShares.length === dropped.length * SHARE_BYTES;
    if (!isWhole) throw refused(client, "expected the shares that it was asked for");
    this.#secrets.set(client, message);
  }

  /**
   * Closes stage 3, and takes the masks off the sum.
   *
   * @throws {TooFewClientsError} when too few shares of a secret have come.
   * @throws {ProtocolError} when shares of a client don't give its secret back.
   */
  async finish(): Promise<SecureSum> {
    this.#close(3, this.#secrets, this.#masked());
    const { expand } = this.#primitives;
    for (const id of this.#arrived) {
      const seed = await this.#combine(id, "alive", "seedShares");
      if (!equalBytes(await digest(seed), this.#boxes.get(id)!.commitment)) throw this.#forged(id, "seed");
      await addMask(this.#sum, seed, { sign: -1, expand });
    }
    for (const id of this.#masked().filter((each) => !this.#arrived.has(each))) {
      const keys = await keyPair(await this.#combine(id, "dropped", "keyShares"));
      if (!equalBytes(keys.public, this.#keys.get(id)!.maskKey)) throw this.#forged(id, "mask key");
      const others = this.#holdersIn(this.#arrived, id);
      const seeds = await Promise.all(
        others.map((other) => {
          const maskKey = new Uint8Array(this.#keys.get(other)!.maskKey);
          return pairSeed({ id, keys }, { id: other, maskKey }, this.#session);
        }),
      );
      // What the lost client would have added would have cancelled what the others did.
      for (const [place, other] of others.entries()) {
        await addMask(this.#sum, seeds[place]!, { sign: signOf(id, other), expand });
      }
    }
    return { sum: this.#sum, clients: [...this.#arrived].sort((a, b) => a - b) };
  }

  /** Clients that have shared secrets and whose masks are in the sum: their own, or those that others share with them. */
  #masked(): number[] {
    return [...this.#boxes.keys()].filter((id) => this.#holdersIn(this.#arrived, id).length > 0);
  }

  #holdersIn(present: { has(id: number): boolean }, id: number): number[] {
    return this.#options.holders.get(id)!.filter((each) => present.has(each));
  }

  async #combine(
    id: number,
    list: "alive" | "dropped",
    shares: "seedShares" | "keyShares",
  ): Promise<Bytes> {
    const found = this.#holdersIn(this.#secrets, id).map((holder) => {
      const message = this.#secrets.get(holder)!;
      return rowOf(message[shares], message[list].indexOf(id), SHARE_BYTES);
    });
    try {
      return new Uint8Array(await combine(found.slice(0, this.#options.threshold)));
    } catch (cause) {
      throw this.#forged(id, shares === "seedShares" ? "seed" : "mask key", cause);
    }
  }

  #forged(id: number, what: string, cause?: unknown): ProtocolError {
    return new ProtocolError(
      `Cannot take the masks off the sum: shares of the ${what} of client ${id} don't give it back, so ` +
        `one of clients ${this.#holdersIn(this.#secrets, id).join(", ")} or ${id} sent a wrong one`,
      { cause },
    );
  }

  /** Goes to the next stage, unless one of some clients has too few holders among those present. */
  #close(stage: number, present: { has(id: number): boolean }, of: Iterable<number>): void {
    if (this.#stage !== stage) {
      throw new ProtocolError(
        `Cannot close the stage of ${stages[stage]}: ${this.#now()}`,
      );
    }
    const { threshold } = this.#options;
    const clients = [...of];
    for (const id of clients) {
      const left = this.#holdersIn(present, id).length;
      if (left >= threshold) continue;
      throw new TooFewClientsError(
        `Cannot add up uploads securely: after the stage of ${
          stages[stage]
        } client ${id} has ${left} holders of its shares left, ` +
          `and ${threshold} are needed`,
      );
    }
    if (clients.length === 0) {
      throw new TooFewClientsError(
        `Cannot add up uploads securely: no client came through the stage of ${stages[stage]}`,
      );
    }
    this.#stage++;
  }

  #check(
    { session, client }: SecureMessage,
    stage: number,
    { from, seen }: {
      readonly from: { has(id: number): boolean };
      readonly seen: { has(id: number): boolean };
    },
  ): void {
    if (this.#stage !== stage) {
      throw refused(
        client,
        `it belongs to the stage of ${stages[stage]}, and ${this.#now()}`,
      );
    }
    if (session !== this.#session) throw refused(client, `it belongs to session ${session}`);
    if (!from.has(client)) throw refused(client, "that client isn't part of this stage");
    if (seen.has(client)) throw refused(client, "that client has sent one before");
  }

  #now(): string {
    const stage = stages[this.#stage];
    return stage === undefined ? "all stages are over" : `this is that of ${stage}`;
  }

  #toEach<Kind extends SecureMessage["kind"], Fields>(
    clients: Iterable<number>,
    kind: Kind,
    fields: (id: number) => Fields,
  ): Map<number, Fields & { readonly kind: Kind; readonly session: string; readonly client: number }> {
    return new Map(
      [...clients].map((client) => [client, { kind, session: this.#session, client, ...fields(client) }]),
    );
  }
}

function refused(client: number, why: string): ProtocolError {
  return new ProtocolError(`Cannot take a message of secure aggregation from client ${client}: ${why}`);
}
