import {
  jetstream,
  JetStreamApiError,
  type JetStreamClient,
  jetstreamManager,
  StorageType,
} from "@nats-io/jetstream";
import { nanos, type NatsConnection } from "@nats-io/nats-core";
import { type ObjectInfo, type ObjectStore, Objm } from "@nats-io/obj";
import { asNatsError, NatsError, NatsObjectError } from "./errors.ts";

/** Options of {@linkcode Objects.create}. */
export interface CreateObjectsOptions {
  /** The most bytes that all objects together may take. */
  readonly maxBytes: number;
  /** How long an object lives; for ever by default. */
  readonly maxAgeSeconds?: number | undefined;
  readonly description?: string | undefined;
}

/** Options of {@linkcode Objects.get}. */
export interface GetObjectOptions {
  /** The most bytes that it may have. */
  readonly maxBytes: number;
  /** How long to wait for each next part; 30 by default. */
  readonly timeoutSeconds?: number | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Bytes of one message. */
const chunkBytes = 128 * 1024;

/**
 * Objects in a bucket of JetStream's object store, each under its SHA-256: equal bytes are stored once, and what arrives is
 * what was meant, whoever can write to the bucket.
 *
 * @example
 * ```ts no-run
 * const objects = await Objects.create(connection, "run-7", { maxBytes: 2 ** 30 });
 * const sha256 = await objects.put(bytes);
 * const same = await objects.get(sha256, { maxBytes: bytes.length });
 * await objects.destroy();
 * ```
 */
export class Objects {
  readonly bucket: string;
  readonly #connection: NatsConnection;
  readonly #store: ObjectStore;

  private constructor(connection: NatsConnection, bucket: string, store: ObjectStore) {
    this.#connection = connection;
    this.bucket = bucket;
    this.#store = store;
  }

  /**
   * Makes a bucket, or opens it where there is one.
   *
   * @throws {NatsError} when the server has no JetStream, or refuses.
   */
  static async create(
    connection: NatsConnection,
    bucket: string,
    { maxBytes, maxAgeSeconds, description = "" }: CreateObjectsOptions,
  ): Promise<Objects> {
    return await asNatsError(`Cannot make the bucket ${bucket}`, async () => {
      const store = await new Objm(jetstream(connection)).create(bucket, {
        storage: StorageType.File,
        max_bytes: maxBytes,
        description,
        ...(maxAgeSeconds !== undefined && { ttl: nanos(maxAgeSeconds * 1000) }),
      });
      return new Objects(connection, bucket, store);
    });
  }

  /** Opens a bucket, without asking the server whether there is one. */
  static async open(connection: NatsConnection, bucket: string): Promise<Objects> {
    return await asNatsError(`Cannot open the bucket ${bucket}`, async () => {
      // What an account may use is none of the business of one that only reads and writes.
      const client: JetStreamClient = jetstream(connection, { checkAPI: false });
      return new Objects(connection, bucket, await new Objm(client).open(bucket, false));
    });
  }

  /**
   * Stores bytes, unless they are there.
   *
   * @returns their SHA-256 in hexadecimal digits, under which they are found.
   * @throws {NatsError} when the bucket is full, or the server refuses.
   */
  async put(bytes: Uint8Array): Promise<string> {
    const sha256 = await sha256Of(bytes);
    await asNatsError(
      `Cannot store ${sha256} (${bytes.length} bytes) in the bucket ${this.bucket}`,
      async () => {
        if (isWhole(await this.#info(sha256), { sha256, size: bytes.length })) return;
        const meta = { name: sha256, options: { max_chunk_size: chunkBytes } };
        await this.#store.putBlob(meta, bytes, { timeout: 30_000 });
      },
    );
    return sha256;
  }

  /**
   * Stores an object part by part, unless it is there.
   *
   * @throws {NatsObjectError} when the parts have another hash.
   * @throws as {@linkcode Objects.put}.
   */
  async putParts(
    { sha256, size }: { readonly sha256: string; readonly size: number },
    parts: () => AsyncIterator<Uint8Array>,
  ): Promise<void> {
    const action = `Cannot store ${sha256} (${size} bytes) in the bucket ${this.bucket}`;
    await asNatsError(action, async () => {
      if (isWhole(await this.#info(sha256), { sha256, size })) return;
      const meta = { name: sha256, options: { max_chunk_size: chunkBytes } };
      const iterator = parts();
      const stream = new ReadableStream<Uint8Array>({
        async pull(controller) {
          const { done, value } = await iterator.next();
          if (done) controller.close();
          else controller.enqueue(value);
        },
      });
      const info = await this.#store.put(meta, stream, { timeout: 30_000 });
      if (isWhole(info, { sha256, size })) return;
      await this.#store.delete(sha256);
      throw new NatsObjectError(`${action}: its bytes have another hash`);
    });
  }

  /** Whether an object is there; its bytes in it, else undefined. */
  async sizeOf(sha256: string): Promise<number | undefined> {
    return await asNatsError(`Cannot look for ${sha256} in the bucket ${this.bucket}`, async () => {
      const info = await this.#info(sha256);
      return info === undefined || info.deleted ? undefined : info.size;
    });
  }

  /**
   * Fetches an object and checks that it is the one that its hash says.
   *
   * @throws {NatsObjectError} when it isn't there, is too large, or isn't what it should be.
   * @throws {NatsError} when no more of it comes in time.
   */
  async get(sha256: string, options: GetObjectOptions): Promise<Uint8Array<ArrayBuffer>> {
    const parts: Uint8Array[] = [];
    const size = await this.stream(sha256, async (part) => void parts.push(part), options);
    const bytes = new Uint8Array(size);
    let at = 0;
    for (const part of parts.splice(0)) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /**
   * Fetches an object part by part; what was written is worth nothing until this returns, as the hash is known at the end.
   *
   * @returns the number of its bytes.
   * @throws as {@linkcode Objects.get}.
   */
  async stream(
    sha256: string,
    write: (part: Uint8Array) => Promise<void>,
    { maxBytes, timeoutSeconds = 30, onProgress }: GetObjectOptions,
  ): Promise<number> {
    const action = `Cannot fetch ${sha256} from the bucket ${this.bucket}`;
    return await asNatsError(action, async () => {
      const found = await this.#store.get(sha256);
      if (found === null) throw new NatsObjectError(`${action}: there is no such object`);
      const { info } = found;
      const problem = !(info.size <= maxBytes)
        ? `it has ${info.size} bytes, expected at most ${maxBytes}`
        // The store's reader checks the bytes against the digest, which must be the one that was asked for.
        : info.digest !== digestOf(sha256)
        ? `it is stored with another hash, ${info.digest}`
        : undefined;
      found.error.catch(() => {});
      const reader = found.data.getReader();
      if (problem !== undefined) {
        await reader.cancel().catch(() => {});
        throw new NatsObjectError(`${action}: ${problem}`);
      }
      let done = 0;
      try {
        while (true) {
          const next = await within(reader.read(), timeoutSeconds, action);
          if (next.done) break;
          done += next.value.length;
          if (done > info.size) throw new NatsObjectError(`${action}: more than its ${info.size} bytes came`);
          await write(next.value);
          onProgress?.(done, info.size);
        }
      } catch (error) {
        await reader.cancel().catch(() => {});
        if (error instanceof Error && /corrupt object/.test(error.message)) {
          throw new NatsObjectError(`${action}: its bytes have another hash`, { cause: error });
        }
        throw error;
      }
      if (done !== info.size) throw new NatsObjectError(`${action}: ${done} of its ${info.size} bytes came`);
      return done;
    });
  }

  /** Removes an object, if it is there. */
  async remove(sha256: string): Promise<void> {
    await asNatsError(`Cannot remove ${sha256} from the bucket ${this.bucket}`, async () => {
      await this.#store.delete(sha256);
    });
  }

  /** Removes the bucket with all that is in it; nothing happens where it is gone. */
  async destroy(): Promise<void> {
    await asNatsError(`Cannot remove the bucket ${this.bucket}`, async () => {
      const manager = await jetstreamManager(this.#connection, { checkAPI: false });
      try {
        await manager.streams.delete(`OBJ_${this.bucket}`);
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    });
  }

  async #info(sha256: string): Promise<ObjectInfo | undefined> {
    return await this.#store.info(sha256) ?? undefined;
  }
}

function isWhole(
  info: ObjectInfo | undefined,
  { sha256, size }: { readonly sha256: string; readonly size: number },
): boolean {
  return info !== undefined && !info.deleted && info.size === size && info.digest === digestOf(sha256);
}

/** SHA-256 of bytes in hexadecimal digits. */
export async function sha256Of(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A hash as the object store writes it. */
function digestOf(sha256: string): string {
  const bytes = sha256.match(/../g)?.map((pair) => parseInt(pair, 16)) ?? [];
  return `SHA-256=${btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_")}`;
}

async function within<T>(promise: Promise<T>, seconds: number, action: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new NatsError(`${action}: nothing more came within ${seconds} s`)),
      seconds * 1000,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether the server says that a stream isn't there. */
export function isMissing(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.status === 404;
}
