import { digest } from "../../../federa/files/digest.ts";
import { FederationError } from "./errors.ts";
import type { Parcel } from "./messages.ts";

/** Room that a message leaves beside its chunk for subject and words. */
const envelopeBytes = 8 << 10;
/** The largest chunk: so many are sent at once that larger ones gain nothing. */
const largestChunk = 512 << 10;

/** Bytes on their way to somebody who asks for them chunk by chunk. */
export interface Outgoing {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly parcel: Parcel;
}

/**
 * Prepares bytes for a way that takes messages up to a size.
 *
 * @param maxMessageBytes what the NATS server takes at once, its `max_payload`.
 */
export async function packParcel(
  bytes: Uint8Array<ArrayBuffer>,
  maxMessageBytes: number,
): Promise<Outgoing> {
  const chunkBytes = Math.min(largestChunk, maxMessageBytes - envelopeBytes);
  if (chunkBytes < 1024) {
    throw new FederationError(
      `Cannot send through a NATS server that takes messages of ${maxMessageBytes} bytes: expected max_payload of at least ` +
        `${envelopeBytes + 1024}`,
    );
  }
  return { bytes, parcel: { bytes: bytes.length, sha256: await digest(bytes), chunkBytes } };
}

/** How many chunks a parcel has; an empty one has one. */
export function numChunks({ bytes, chunkBytes }: Parcel): number {
  return Math.max(1, Math.ceil(bytes / chunkBytes));
}

/**
 * A chunk of a parcel.
 *
 * @throws {RangeError} when there is no such chunk.
 */
export function chunkOf({ bytes, parcel }: Outgoing, index: number): Uint8Array<ArrayBuffer> {
  if (index >= numChunks(parcel)) {
    throw new RangeError(`Cannot send chunk ${index}: there are ${numChunks(parcel)}`);
  }
  const from = index * parcel.chunkBytes;
  return bytes.subarray(from, from + parcel.chunkBytes);
}

/** A parcel that arrives chunk by chunk, in any order, some perhaps twice. */
export class Incoming {
  readonly parcel: Parcel;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #missing: Set<number>;

  /**
   * Takes memory for it.
   *
   * @param limit the most bytes that are expected.
   * @throws {FederationError} when it has more.
   */
  constructor(parcel: Parcel, limit: number) {
    if (parcel.bytes > limit) {
      throw new FederationError(
        `Cannot take a payload of ${parcel.bytes} bytes: expected at most ${limit}`,
      );
    }
    this.parcel = parcel;
    this.#bytes = new Uint8Array(parcel.bytes);
    this.#missing = new Set(Array.from({ length: numChunks(parcel) }, (_, i) => i));
  }

  /** Chunks that haven't come yet. */
  get missing(): ReadonlySet<number> {
    return this.#missing;
  }

  /**
   * Takes a chunk.
   *
   * @throws {FederationError} when it isn't one of this parcel.
   */
  add(index: number, chunk: Uint8Array): void {
    const { bytes, chunkBytes } = this.parcel;
    const count = numChunks(this.parcel);
    const expected = Math.min(chunkBytes, bytes - index * chunkBytes);
    if (index >= count || chunk.length !== expected) {
      throw new FederationError(
        index >= count
          ? `Cannot take chunk ${index}: the payload has ${count}`
          : `Cannot take chunk ${index}: expected ${expected} bytes, got ${chunk.length}`,
      );
    }
    this.#bytes.set(chunk, index * chunkBytes);
    this.#missing.delete(index);
  }

  /**
   * All of it.
   *
   * @throws {FederationError} when chunks are missing, or it isn't what was announced.
   */
  async open(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#missing.size > 0) {
      throw new FederationError(`Cannot open a payload: ${this.#missing.size} chunks are missing`);
    }
    const found = await digest(this.#bytes);
    if (found === this.parcel.sha256) return this.#bytes;
    throw new FederationError(
      `Cannot use a payload of ${this.#bytes.length} bytes: expected SHA-256 ${
        this.parcel.sha256.slice(0, 8)
      }…, got ${found.slice(0, 8)}…`,
    );
  }
}

/** Whether two are the same bytes in the same chunks. */
export function sameParcel(one: Parcel, other: Parcel): boolean {
  return one.sha256 === other.sha256 && one.bytes === other.bytes && one.chunkBytes === other.chunkBytes;
}
