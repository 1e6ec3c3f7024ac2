import type { ConnectionOptions, NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";

/** Connects by TCP, with TLS where the options have it. */
export async function connectByTcp(options: ConnectionOptions): Promise<NatsConnection> {
  return await connect(options);
}
