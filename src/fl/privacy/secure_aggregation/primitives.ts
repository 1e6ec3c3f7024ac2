import { split } from "shamir-secret-sharing";
import type { Bytes } from "./messages.ts";

/**
 * What is random or pseudo-random in the protocol. Clients and server take the system's randomness and AES by default; nothing of a
 * result depends on what is drawn, so nothing else is needed but in tests that compare what the server sees.
 */
export interface Primitives {
  /** So many random bytes. */
  randomBytes(length: number): Bytes;
  /** Shares of a secret of which any `threshold` give it back, and fewer tell nothing: Shamir's, over GF(2⁸). */
  split(secret: Uint8Array, shares: number, threshold: number): Promise<Uint8Array[]>;
  /** The numbers `start` to `start + length` of the pseudo-random sequence of a seed of 32 bytes; `start` is a multiple of 4. */
  expand(seed: Bytes, start: number, length: number): Promise<Uint32Array>;
}

/** Randomness of the system (WebCrypto), Shamir shares of an audited library, and AES-256 in counter mode as the generator of masks. */
export const systemPrimitives: Primitives = {
  randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  split,
  expand: aesCounterStream,
};

/** Bytes of a block of AES. */
const BLOCK = 16;

/**
 * Numbers of the key stream of AES-256-CTR: the encryptions of the block numbers from 0, read as little-endian words.
 *
 * @param seed the key, which must serve for this alone.
 */
async function aesCounterStream(seed: Bytes, start: number, length: number): Promise<Uint32Array> {
  const counter = new Uint8Array(BLOCK);
  new DataView(counter.buffer).setBigUint64(BLOCK / 2, BigInt((start * 4) / BLOCK));
  const key = await crypto.subtle.importKey("raw", seed, "AES-CTR", false, ["encrypt"]);
  const zeros = new Uint8Array(length * 4);
  return new Uint32Array(await crypto.subtle.encrypt({ name: "AES-CTR", counter, length: 64 }, key, zeros));
}
