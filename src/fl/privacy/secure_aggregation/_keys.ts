import { ProtocolError } from "./errors.ts";
import { type Bytes, KEY_BYTES } from "./messages.ts";

const X25519 = { name: "X25519" } as const;
/** What stands before the 32 bytes of a secret key in PKCS #8 (RFC 8410). */
const PREFIX = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20);
/** u = 9 (RFC 7748). */
const BASE_POINT = Uint8Array.from({ length: KEY_BYTES }, (_, i) => i === 0 ? 9 : 0);

/** A pair of keys for agreements, X25519 (RFC 7748). */
export interface KeyPair {
  readonly secret: Bytes;
  readonly public: Bytes;
  readonly handle: CryptoKey;
}

/** The pair of a secret key, any 32 bytes. */
export async function keyPair(secret: Bytes): Promise<KeyPair> {
  const handle = await crypto.subtle.importKey("pkcs8", concat(PREFIX, secret), X25519, false, [
    "deriveBits",
  ]);
  return { secret, handle, public: await multiply(handle, BASE_POINT) };
}

/**
 * The secret that two parties share: X25519 of one's secret and the other's public key. It's no key yet; see {@linkcode expandKey}.
 *
 * @throws {ProtocolError} when the public key is one of the few that give the same secret with every other.
 */
export async function agree({ handle }: KeyPair, other: Bytes): Promise<Bytes> {
  try {
    return await multiply(handle, other);
  } catch (cause) {
    throw new ProtocolError("Cannot agree on a secret: the other's public key isn't one of X25519", {
      cause,
    });
  }
}

/** A key of 32 bytes out of a shared secret: HKDF-SHA-256 (RFC 5869) without a salt, with what the key is for as `info`. */
export async function expandKey(secret: Bytes, info: Bytes): Promise<Bytes> {
  const key = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const options = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info };
  return new Uint8Array(await crypto.subtle.deriveBits(options, key, 8 * KEY_BYTES));
}

/** Encrypts and authenticates with AES-256-GCM: the nonce, then what WebCrypto gives. */
export async function seal(
  key: Bytes,
  text: Bytes,
  { nonce, context }: { readonly nonce: Bytes; readonly context: Bytes },
): Promise<Bytes> {
  const handle = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt"]);
  const options = { name: "AES-GCM", iv: nonce, additionalData: context };
  return concat(nonce, new Uint8Array(await crypto.subtle.encrypt(options, handle, text)));
}

/** Undoes {@linkcode seal}; undefined for a box that wasn't made with this key and context. */
export async function open(key: Bytes, box: Bytes, context: Bytes): Promise<Bytes | undefined> {
  const handle = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["decrypt"]);
  const options = { name: "AES-GCM", iv: box.slice(0, 12), additionalData: context };
  try {
    return new Uint8Array(await crypto.subtle.decrypt(options, handle, box.slice(12)));
  } catch {
    // WebCrypto says no more than that it failed.
    return undefined;
  }
}

/** SHA-256. */
export async function digest(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** Bytes one after another. */
export function concat(...parts: readonly Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** What a key of a pair is for: the purpose, the session, and the clients. */
export function purpose(what: string, session: string, clients: readonly number[]): Bytes {
  return new TextEncoder().encode(`federa secure aggregation, ${what}, ${session}, ${clients.join(" ")}`);
}

/** Whether two sequences of bytes are equal; the time depends on their lengths alone. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ (b[i] ?? 0);
  return difference === 0;
}

/** A copy of the row of some bytes. */
export function rowOf(rows: Uint8Array, index: number, bytes: number): Bytes {
  return new Uint8Array(rows.slice(index * bytes, (index + 1) * bytes));
}

async function multiply(handle: CryptoKey, point: Bytes): Promise<Bytes> {
  const other = await crypto.subtle.importKey("raw", point, X25519, false, []);
  const bits = await crypto.subtle.deriveBits({ ...X25519, public: other }, handle, 8 * KEY_BYTES);
  return new Uint8Array(bits);
}
