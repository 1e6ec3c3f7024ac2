import { concat, digest, equalBytes, keyPair, rowOf } from "./_keys.ts";
import { accumulate, addMask, addPairMasks } from "./_masks.ts";
import { recover } from "./_recover.ts";
import { refused, ServerStages } from "./_server_stages.ts";
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
  readonly #stages: ServerStages;
  readonly #sum: Uint32Array;
  readonly #keys = new Map<number, AdvertisedKeys>();
  readonly #boxes = new Map<number, SealedShares>();
  readonly #arrived = new Set<number>();
  readonly #secrets = new Map<number, UnmaskShares>();

  constructor(options: SecureServerOptions) {
    this.#options = options;
    this.#primitives = options.primitives ?? systemPrimitives;
    this.#session = [...this.#primitives.randomBytes(16)]
      .map((byte) => byte.toString(16).padStart(2, "0")).join("");
    this.#stages = new ServerStages({ ...options, session: this.#session });
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
    this.#stages.check(message, "keys", { from: this.#options.holders, seen: this.#keys });
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
    this.#stages.close("keys", this.#keys, this.#keys.keys());
    return this.#toEach(this.#keys.keys(), "key-directory", (id) => {
      const present = this.#stages.holdersIn(this.#keys, id);
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
    this.#stages.check(message, "shares", { from: this.#keys, seen: this.#boxes });
    const { client, clients, boxes, commitment } = message;
    const expected = this.#stages.holdersIn(this.#keys, client).filter((id) => id !== client);
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
    this.#stages.close("shares", this.#boxes, this.#boxes.keys());
    return this.#toEach(this.#boxes.keys(), "forwarded-shares", (id) => {
      const senders = this.#stages.holdersIn(this.#boxes, id).filter((each) => each !== id);
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
    this.#stages.check(message, "vectors", { from: this.#boxes, seen: this.#arrived });
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
    this.#stages.close("vectors", this.#arrived, this.#masked());
    return this.#toEach(this.#arrived, "unmask-request", (id) => {
      const sharers = this.#stages.holdersIn(this.#boxes, id);
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
    this.#stages.check(message, "unmasking", { from: this.#arrived, seen: this.#secrets });
    const { client, alive, dropped, seedShares, keyShares } = message;
    const sharers = this.#stages.holdersIn(this.#boxes, client);
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
    this.#stages.close("unmasking", this.#secrets, this.#masked());
    const { expand } = this.#primitives;
    for (const id of this.#arrived) {
      const { commitment } = this.#boxes.get(id)!;
      const seed = await this.#recover(
        id,
        "seed",
        async (seed) => equalBytes(await digest(seed), commitment) ? seed : undefined,
      );
      await addMask(this.#sum, seed, { sign: -1, expand });
    }
    for (const id of this.#masked().filter((each) => !this.#arrived.has(each))) {
      const { maskKey } = this.#keys.get(id)!;
      const keys = await this.#recover(id, "mask key", async (secret) => {
        const pair = await keyPair(secret);
        return equalBytes(pair.public, maskKey) ? pair : undefined;
      });
      // What the lost client would have added would have cancelled what the others did.
      const others = this.#stages.holdersIn(this.#arrived, id)
        .map((other) => ({ id: other, maskKey: new Uint8Array(this.#keys.get(other)!.maskKey) }));
      await addPairMasks(this.#sum, { id, keys }, { others, session: this.#session, expand });
    }
    return { sum: this.#sum, clients: [...this.#arrived].sort((a, b) => a - b) };
  }

  /** Clients that have shared secrets and whose masks are in the sum: their own, or those that others share with them. */
  #masked(): number[] {
    return [...this.#boxes.keys()].filter((id) => this.#stages.holdersIn(this.#arrived, id).length > 0);
  }

  /** See {@linkcode recover}. */
  #recover<T>(
    client: number,
    what: "seed" | "mask key",
    use: (secret: Bytes) => Promise<T | undefined>,
  ): Promise<T> {
    const [list, field] = what === "seed"
      ? ["alive", "seedShares"] as const
      : ["dropped", "keyShares"] as const;
    const shares = this.#stages.holdersIn(this.#secrets, client).map((holder) => {
      const message = this.#secrets.get(holder)!;
      return [holder, rowOf(message[field], message[list].indexOf(client), SHARE_BYTES)] as const;
    });
    const { threshold } = this.#options;
    return recover({ client, what, shares: new Map(shares), threshold }, use);
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
