import type { ConnectionOptions, NatsConnection } from "@nats-io/nats-core";
import { NatsError } from "./errors.ts";

/** Fails: pages have no connections of their own beside WebSocket. */
export async function connectByTcp({ servers }: ConnectionOptions): Promise<NatsConnection> {
  throw new NatsError(
    `Cannot connect to ${
      [servers].flat().join(",")
    }: a page reaches NATS by WebSocket alone, expected ws:// or wss://`,
  );
}
