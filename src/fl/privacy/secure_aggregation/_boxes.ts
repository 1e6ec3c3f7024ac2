import { agree, concat, expandKey, type KeyPair, open, purpose, rowOf, seal } from "./_keys.ts";
import { type Bytes, KEY_BYTES, type KeyDirectory, SHARE_BYTES } from "./messages.ts";

/** Another client, as one knows it. */
export interface Peer {
  readonly maskKey: Bytes;
  /** The keys of boxes to it, and from it. */
  readonly outgoing: Bytes;
  readonly incoming: Bytes;
}

/** Shares of a client's secrets. */
export interface Shares {
  readonly seed: Uint8Array;
  readonly key: Uint8Array;
}

/** Whom a box is from and for. */
export interface Route {
  readonly session: string;
  readonly from: number;
  readonly to: number;
}

/** Agrees with a client of a directory on the keys with which boxes to and from it are sealed. */
export async function meet(
  encryption: KeyPair,
  { session, from, to }: Route,
  { clients, encryptionKeys, maskKeys }: KeyDirectory,
): Promise<Peer> {
  const place = clients.indexOf(to);
  const secret = await agree(encryption, rowOf(encryptionKeys, place, KEY_BYTES));
  const [outgoing, incoming] = await Promise.all([
    expandKey(secret, purpose("shares", session, [from, to])),
    expandKey(secret, purpose("shares", session, [to, from])),
  ]);
  return { maskKey: rowOf(maskKeys, place, KEY_BYTES), outgoing, incoming };
}

/** A box of shares that its receiver alone can open. */
export function sealShares(
  { outgoing }: Peer,
  { seed, key }: Shares,
  { nonce, session, from, to }: Route & { readonly nonce: Bytes },
): Promise<Bytes> {
  return seal(outgoing, concat(seed, key), { nonce, context: purpose("box", session, [from, to]) });
}

/** The shares in a box; undefined where its sender didn't make it. */
export async function openShares(
  { incoming }: Peer,
  box: Bytes,
  { session, from, to }: Route,
): Promise<Shares | undefined> {
  const text = await open(incoming, box, purpose("box", session, [from, to]));
  if (text?.length !== 2 * SHARE_BYTES) return undefined;
  return { seed: text.slice(0, SHARE_BYTES), key: text.slice(SHARE_BYTES) };
}
