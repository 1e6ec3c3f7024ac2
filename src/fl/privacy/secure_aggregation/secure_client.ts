import { ProtocolError, TooFewClientsError } from "./errors.ts";
import {
  agree,
  concat,
  digest,
  equalBytes,
  expandKey,
  type KeyPair,
  keyPair,
  open,
  purpose,
  rowOf,
  seal,
} from "./_keys.ts";
import { addMask, pairSeed, signOf } from "./_masks.ts";
import {
  type AdvertisedKeys,
  BOX_BYTES,
  type Bytes,
  type ForwardedShares,
  KEY_BYTES,
  type KeyDirectory,
  type MaskedVector,
  type SealedShares,
  type Setup,
  SHARE_BYTES,
  type UnmaskRequest,
  type UnmaskShares,
} from "./messages.ts";
import { lowestThreshold } from "./neighbors.ts";
import { type Primitives, systemPrimitives } from "./primitives.ts";

/** What a client does after it has drawn keys, in order. */
const stages = ["share keys", "mask its vector", "unmask"] as const;

/** Another client, as this one knows it. */
interface Peer {
  readonly maskKey: Bytes;
  /** The keys of boxes to it, and from it. */
  readonly outgoing: Bytes;
  readonly incoming: Bytes;
}

/** Shares of a client's secrets. */
interface Shares {
  readonly seed: Uint8Array;
  readonly key: Uint8Array;
}

/**
 * A client's side of one secure aggregation (Bonawitz et al., ePrint 2017/281; with neighbours, SecAgg+ of Bell et al., ePrint 2020/704): it sends
 * x + PRG(b) + Σ_{v>u} PRG(s_uv) − Σ_{v<u} PRG(s_uv) modulo 2³². What a client sends tells nothing of x but in the sum
 * of all vectors that come, as long as fewer than `threshold` of its holders work together with the server.
 *
 * Its four methods are called once each, in order. Secrets and shares are forgotten at the end.
 *
 * @example
 * ```ts no-run
 * const client = new SecureClient(setup);
 * await send(await client.advertiseKeys());
 * await send(await client.shareKeys(await directory));
 * await send(await client.mask(quantize(change, options).vector, await forwarded));
 * await send(client.unmask(await request));
 * ```
 */
export class SecureClient {
  readonly #setup: Setup;
  readonly #primitives: Primitives;
  readonly #shares = new Map<number, Shares>();
  #stage = 0;
  #encryption: KeyPair | undefined;
  #masking: KeyPair | undefined;
  #seed: Bytes | undefined;
  #peers = new Map<number, Peer>();

  /**
   * @throws {ProtocolError} when the server's set-up isn't safe: a threshold of no more than half of the shares, or above them.
   */
  constructor(setup: Setup, primitives: Primitives = systemPrimitives) {
    const { client, holders, threshold } = setup;
    const lowest = lowestThreshold(holders.length);
    if (!(threshold >= lowest && threshold <= holders.length)) {
      throw refuse(
        client,
        `take part: the threshold must be from ${lowest} to ${holders.length}, got ${threshold}`,
      );
    }
    if (!holders.includes(client) || !isAscending(holders)) {
      throw refuse(client, `take part: its holders must be different clients, and it one of them`);
    }
    this.#setup = setup;
    this.#primitives = primitives;
  }

  /** Stage 0: draws its keys. */
  async advertiseKeys(): Promise<AdvertisedKeys> {
    if (this.#encryption !== undefined) throw this.#refuse("draw keys: it has drawn them before");
    const { randomBytes } = this.#primitives;
    this.#encryption = await keyPair(randomBytes(KEY_BYTES));
    this.#masking = await keyPair(randomBytes(KEY_BYTES));
    return {
      ...this.#envelope("advertised-keys"),
      encryptionKey: this.#encryption.public,
      maskKey: this.#masking.public,
    };
  }

  /**
   * Stage 1: draws its seed, and shares it and its mask key out among those of the directory.
   *
   * @throws {TooFewClientsError} when the directory has fewer clients than the threshold.
   * @throws {ProtocolError} when it has others than the holders, equal keys, or wrong ones of this client.
   */
  async shareKeys(directory: KeyDirectory): Promise<SealedShares> {
    this.#advance(0, directory);
    const { client, session, threshold } = this.#setup;
    const { clients } = directory;
    this.#checkDirectory(directory);
    const { randomBytes, split } = this.#primitives;
    const seed = this.#seed = randomBytes(KEY_BYTES);
    const seedShares = await split(seed, clients.length, threshold);
    const keyShares = await split(this.#masking!.secret, clients.length, threshold);
    const others = [...clients].filter((id) => id !== client);
    const boxes = await Promise.all([...clients].map(async (id, place) => {
      const own = { seed: seedShares[place]!, key: keyShares[place]! };
      if (id === client) {
        this.#shares.set(client, own);
        return new Uint8Array();
      }
      const nonce = randomBytes(12);
      const peer = await this.#meet(id, place, directory);
      this.#peers.set(id, peer);
      return await seal(peer.outgoing, concat(own.seed, own.key), {
        nonce,
        context: purpose("box", session, [client, id]),
      });
    }));
    return {
      ...this.#envelope("sealed-shares"),
      commitment: await digest(seed),
      clients: Uint32Array.from(others),
      boxes: concat(...boxes),
    };
  }

  /**
   * Stage 2: masks a vector, whose copy alone goes out. It masks with those whose shares have come.
   *
   * @throws {TooFewClientsError} when, itself counted, these are fewer than the threshold.
   * @throws {ProtocolError} when a share isn't from a client of the directory, or doesn't authenticate.
   */
  async mask(vector: Uint32Array, forwarded: ForwardedShares): Promise<MaskedVector> {
    this.#advance(1, forwarded);
    const { client, session, threshold } = this.#setup;
    const { clients, boxes } = forwarded;
    if (clients.length + 1 < threshold) {
      throw new TooFewClientsError(tooFew(client, "mask its vector", clients.length + 1, threshold));
    }
    if (boxes.length !== clients.length * BOX_BYTES || !isAscending(clients)) {
      throw this.#refuse("mask its vector: expected a box from each of different clients");
    }
    const opened = await Promise.all([...clients].map(async (id, place) => {
      const peer = this.#peers.get(id);
      if (peer === undefined) throw this.#refuse(`take a share of client ${id}: it has no key of it`);
      const context = purpose("box", session, [id, client]);
      const text = await open(peer.incoming, rowOf(boxes, place, BOX_BYTES), context);
      if (text?.length !== 2 * SHARE_BYTES) {
        throw this.#refuse(
          `take a share of client ${id}: it doesn't authenticate, so that client didn't make it`,
        );
      }
      return [id, { seed: text.slice(0, SHARE_BYTES), key: text.slice(SHARE_BYTES) }] as const;
    }));
    const masked = vector.slice();
    const { expand } = this.#primitives;
    const own = { id: client, keys: this.#masking! };
    const seeds = await Promise.all(
      opened.map(([id]) => pairSeed(own, { id, maskKey: this.#peers.get(id)!.maskKey }, session)),
    );
    for (const [place, [id, shares]] of opened.entries()) {
      this.#shares.set(id, shares);
      await addMask(masked, seeds[place]!, { sign: signOf(client, id), expand });
    }
    await addMask(masked, this.#seed!, { sign: 1, expand });
    this.#peers.clear();
    this.#masking = this.#encryption = this.#seed = undefined;
    return { ...this.#envelope("masked-vector"), vector: masked };
  }

  /**
   * Stage 3: gives shares of the seeds of those whose vectors have come, and of the mask keys of those whose haven't.
   *
   * @throws {ProtocolError} when both are asked of one client, which would take all masks off its vector; or one of a client
   * that it didn't mask with; or when it's asked twice.
   * @throws {TooFewClientsError} when fewer vectors than the threshold have come: their sum would hide too little.
   */
  unmask(request: UnmaskRequest): UnmaskShares {
    this.#advance(2, request);
    const { client, threshold } = this.#setup;
    const { alive, dropped } = request;
    if (alive.length < threshold) {
      throw new TooFewClientsError(tooFew(client, "unmask", alive.length, threshold));
    }
    if (!isAscending(alive) || !isAscending(dropped)) {
      throw this.#refuse("unmask: a client is asked for twice");
    }
    const both = dropped.find((id) => alive.includes(id));
    if (both !== undefined) {
      throw this.#refuse(
        `give both shares of client ${both}: together they would take the masks off its vector`,
      );
    }
    if (dropped.includes(client)) throw this.#refuse("unmask: it is called lost, and isn't");
    const shareOf = (id: number, which: keyof Shares): Uint8Array => {
      const shares = this.#shares.get(id);
      if (shares === undefined) throw this.#refuse(`give a share of client ${id}: it has none`);
      return shares[which];
    };
    const seedShares = concat(...[...alive].map((id) => shareOf(id, "seed")));
    const keyShares = concat(...[...dropped].map((id) => shareOf(id, "key")));
    this.#shares.clear();
    return { ...this.#envelope("unmask-shares"), alive, seedShares, dropped, keyShares };
  }

  /** The keys with which boxes to and from a client of the directory are sealed. */
  async #meet(id: number, place: number, { encryptionKeys, maskKeys }: KeyDirectory): Promise<Peer> {
    const { client, session } = this.#setup;
    const other = rowOf(encryptionKeys, place, KEY_BYTES);
    const secret = await agree(this.#encryption!, other);
    const [outgoing, incoming] = await Promise.all([
      expandKey(secret, purpose("shares", session, [client, id])),
      expandKey(secret, purpose("shares", session, [id, client])),
    ]);
    return { maskKey: rowOf(maskKeys, place, KEY_BYTES), outgoing, incoming };
  }

  #checkDirectory({ clients, encryptionKeys, maskKeys }: KeyDirectory): void {
    const { client, holders, threshold } = this.#setup;
    if (clients.length < threshold) {
      throw new TooFewClientsError(tooFew(client, "share keys", clients.length, threshold));
    }
    const lengths = [encryptionKeys, maskKeys].map(({ length }) => length);
    if (!isAscending(clients) || lengths.some((length) => length !== clients.length * KEY_BYTES)) {
      throw this.#refuse("share keys: expected two keys of each of different clients");
    }
    const stranger = clients.find((id) => !holders.includes(id));
    if (stranger !== undefined) {
      throw this.#refuse(`share keys: client ${stranger} isn't one of its holders`);
    }
    const keys = [...clients].flatMap((_, place) =>
      [encryptionKeys, maskKeys].map((all) => rowOf(all, place, KEY_BYTES).toString())
    );
    if (new Set(keys).size < keys.length) throw this.#refuse("share keys: two keys are equal");
    const place = clients.indexOf(client);
    const isOwn = place >= 0 &&
      equalBytes(rowOf(encryptionKeys, place, KEY_BYTES), this.#encryption!.public) &&
      equalBytes(rowOf(maskKeys, place, KEY_BYTES), this.#masking!.public);
    if (!isOwn) throw this.#refuse("share keys: the directory has other keys of it than it sent");
  }

  /** Goes to the next stage; one that fails on the way can't be tried again. */
  #advance(stage: number, { session, client }: { readonly session: string; readonly client: number }): void {
    const next = this.#stage === 0 && this.#encryption === undefined ? "draw keys" : stages[this.#stage];
    if (next !== stages[stage]) {
      throw this.#refuse(
        `${stages[stage]!}: ${this.#stage > stage ? "it has been asked to before" : `it must ${next} first`}`,
      );
    }
    if (session !== this.#setup.session || client !== this.#setup.client) {
      throw this.#refuse(`${stages[stage]!}: the message is for client ${client} of session ${session}`);
    }
    this.#stage++;
  }

  #envelope<Kind extends string>(kind: Kind) {
    return { kind, session: this.#setup.session, client: this.#setup.client };
  }

  #refuse(what: string): ProtocolError {
    return refuse(this.#setup.client, what);
  }
}

function refuse(client: number, what: string): ProtocolError {
  return new ProtocolError(`Client ${client} refuses to ${what}`);
}

function tooFew(client: number, what: string, got: number, threshold: number): string {
  return `Client ${client} refuses to ${what}: expected at least ${threshold} clients, itself counted, got ${got}`;
}

function isAscending(ids: Uint32Array): boolean {
  return ids.every((id, place) => place === 0 || id > ids[place - 1]!);
}
