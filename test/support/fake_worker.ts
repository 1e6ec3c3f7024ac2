import { jetstream, type JsMsg } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { connectNats } from "../../src/network/nats/connection.ts";
import { Objects } from "../../src/network/nats/objects.ts";
import {
  type BlockOfWork,
  type BlockResult,
  blockSchema,
  decodeMessage,
  encodeMessage,
  type ObjectReference,
  type WorkerKind,
} from "../../src/network/nats/workers/messages.ts";
import { queueNames } from "../../src/network/nats/workers/names.ts";

/** A worker that trains nothing and says what a test has it say. */
export class FakeWorker {
  readonly #connection: NatsConnection;
  readonly #worker: string;
  readonly #objects: Objects;
  readonly #names = queueNames("default");

  private constructor(connection: NatsConnection, worker: string, objects: Objects) {
    this.#connection = connection;
    this.#worker = worker;
    this.#objects = objects;
  }

  /** Connects and is let in. */
  static async open(
    url: string,
    { worker, kind }: { readonly worker: string; readonly kind: WorkerKind },
  ): Promise<FakeWorker> {
    const connection = await connectNats(url);
    const names = queueNames("default");
    await connection.request(names.hello, encodeMessage({ worker, kind }));
    return new FakeWorker(connection, worker, await Objects.open(connection, names.bucket));
  }

  /** Puts bytes into the bucket. */
  async put(bytes: Uint8Array): Promise<ObjectReference> {
    return { sha256: await this.#objects.put(bytes), size: bytes.length };
  }

  /** Takes the next block and says no word about it. */
  async take(): Promise<JsMsg> {
    const { workStream, workConsumer } = this.#names;
    const consumer = await jetstream(this.#connection).consumers.get(workStream, workConsumer);
    const message = await consumer.next({ expires: 30_000 });
    if (message === null) throw new Error("no block came within 30 s");
    return message;
  }

  /** Takes the next block and answers it. */
  async answer(what: (block: BlockOfWork) => Promise<Partial<BlockResult>>): Promise<void> {
    const message = await this.take();
    const block = decodeMessage(blockSchema, message.data)!;
    const { session, turn, block: place } = block;
    const result = { session, turn, block: place, worker: this.#worker, ...await what(block) };
    await jetstream(this.#connection).publish(this.#names.done(session), encodeMessage(result));
    message.ack();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.close();
  }
}
