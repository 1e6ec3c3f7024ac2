import { sleep } from "../../../hub/hugging_face/retry.ts";
import type { FlowerTiming } from "../client/timing.ts";
import { SuperlinkError } from "../errors.ts";
import type { Membership } from "./membership.ts";

/** Seconds for the answer to a sign of life. */
const ANSWER = 5;

/** What {@linkcode sendHeartbeats} needs. */
export interface HeartbeatOptions {
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
export async function sendHeartbeats({ membership, timing, signal }: HeartbeatOptions): Promise<never> {
  const between = Math.max(timing.heartbeat - ANSWER, timing.heartbeat / 2);
  const options = { patience: 0, answer: Math.min(ANSWER, timing.answer) };
  for (;;) {
    // By chance, so that nodes that were started together don't call together.
    await sleep(between * (0.7 + 0.2 * Math.random()) * 1000, signal);
    const { joins } = membership;
    try {
      if (!await membership.beat(options)) await membership.rejoin(unknownNode(), joins);
    } catch (error) {
      if (!(error instanceof SuperlinkError) || signal.aborted) throw error;
      if (error.failure === "unauthenticated") await membership.rejoin(error, joins);
      else if (error.failure !== "unreachable") throw error;
    }
  }
}

/** The error of a server that takes a node's signs of life and doesn't know it. */
export function unknownNode(): SuperlinkError {
  return new SuperlinkError("Cannot go on: the server does not know the node", {
    failure: "unauthenticated",
  });
}
