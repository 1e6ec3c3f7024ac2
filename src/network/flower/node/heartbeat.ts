import { sleep } from "../../../hub/hugging_face/retry.ts";
import type { FleetClient } from "../client/fleet_client.ts";
import type { FlowerTiming } from "../client/timing.ts";
import { SuperlinkError } from "../errors.ts";
import type { Membership } from "./membership.ts";

/** Seconds for the answer to a sign of life. */
const ANSWER = 5;

/** What {@linkcode sendHeartbeats} needs. */
export interface HeartbeatOptions {
  readonly client: FleetClient;
  readonly membership: Membership;
  readonly timing: FlowerTiming;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/**
 * Tells the server from time to time that the node lives. A server that is away is left to the calls that need it; one that
 * has forgotten the node is joined again.
 *
 * @throws {SuperlinkError} the server refuses.
 * @throws the reason of the signal, in the end.
 */
export async function sendHeartbeats(options: HeartbeatOptions): Promise<never> {
  const { timing: { heartbeat }, membership, signal } = options;
  const between = Math.max(heartbeat - ANSWER, heartbeat / 2);
  for (;;) {
    // By chance, so that nodes that were started together don't call together.
    await sleep(between * (0.7 + 0.2 * Math.random()) * 1000, signal);
    const failure = await sendHeartbeat(options);
    if (failure?.failure === "unauthenticated") await membership.rejoin(failure);
    else if (failure !== undefined && failure.failure !== "unreachable") throw failure;
  }
}

async function sendHeartbeat(
  { client, membership, timing }: HeartbeatOptions,
): Promise<SuperlinkError | undefined> {
  const request = { node: membership.node, heartbeatInterval: timing.heartbeat };
  try {
    const { success } = await client.call("send-node-heartbeat", request, {
      patience: 0,
      answer: Math.min(ANSWER, timing.answer),
    });
    if (success) return undefined;
    return new SuperlinkError(`Cannot stay at ${client.superlink}: it does not know the node`, {
      failure: "unauthenticated",
    });
  } catch (error) {
    if (error instanceof SuperlinkError) return error;
    throw error;
  }
}
