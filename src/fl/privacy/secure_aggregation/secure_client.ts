import type { ProtocolError } from "./errors.ts";
import { meet, openShares, type Peer, type Route, sealShares, type Shares } from "./_boxes.ts";
import { checkDirectory, checkForwarded, checkRequest, checkSetup, refusal } from "./_client_checks.ts";
import { concat, digest, type KeyPair, keyPair, rowOf } from "./_keys.ts";
import { addMask, addPairMasks } from "./_masks.ts";
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
  type UnmaskRequest,
  type UnmaskShares,
} from "./messages.ts";
import { type Primitives, systemPrimitives } from "./primitives.ts";

/** What a client does after it has drawn keys, in order. */
const stages = ["share keys", "mask its vector", "unmask"] as const;

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
    checkSetup(setup);
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
    const [encryption, masking] = [this.#encryption!, this.#masking!];
    checkDirectory(this.#setup, directory, { encryptionKey: encryption.public, maskKey: masking.public });
    const { randomBytes, split } = this.#primitives;
    const seed = this.#seed = randomBytes(KEY_BYTES);
    const seedShares = await split(seed, clients.length, threshold);
    const keyShares = await split(masking.secret, clients.length, threshold);
    const others = [...clients].filter((id) => id !== client);
    const boxes = await Promise.all([...clients].map(async (id, place) => {
      const own = { seed: seedShares[place]!, key: keyShares[place]! };
      if (id === client) {
        this.#shares.set(client, own);
        return new Uint8Array();
      }
      const nonce = randomBytes(12);
      const route: Route = { session, from: client, to: id };
      const peer = await meet(encryption, route, directory);
      this.#peers.set(id, peer);
      return await sealShares(peer, own, { ...route, nonce });
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
    checkForwarded(this.#setup, forwarded);
    const { client, session } = this.#setup;
    const { clients, boxes } = forwarded;
    const opened = await Promise.all([...clients].map(async (id, place) => {
      const peer = this.#peers.get(id);
      if (peer === undefined) throw this.#refuse(`take a share of client ${id}: it has no key of it`);
      const box = rowOf(boxes, place, BOX_BYTES);
      const shares = await openShares(peer, box, { session, from: id, to: client });
      if (shares === undefined) {
        throw this.#refuse(
          `take a share of client ${id}: it doesn't authenticate, so that client didn't make it`,
        );
      }
      return { id, shares, maskKey: peer.maskKey };
    }));
    const masked = vector.slice();
    const { expand } = this.#primitives;
    await addPairMasks(masked, { id: client, keys: this.#masking! }, { others: opened, session, expand });
    for (const { id, shares } of opened) this.#shares.set(id, shares);
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
    checkRequest(this.#setup, request);
    const { alive, dropped } = request;
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
    return refusal(this.#setup.client, what);
  }
}
