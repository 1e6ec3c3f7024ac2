import { sleep } from "../../../hub/hugging_face/retry.ts";
import type { FleetClient, FleetResponse } from "../client/fleet_client.ts";
import type { FlowerTiming } from "../client/timing.ts";
import { FlowerFormatError, SuperlinkError } from "../errors.ts";
import type { FlowerEvent } from "../event.ts";
import type { FlowerHandler } from "../message.ts";
import { unknownNode } from "./heartbeat.ts";
import { serveMessage } from "./serve_message.ts";
import type { Membership } from "./membership.ts";

/** Numbers of messages that are remembered, so that none is served twice. */
const REMEMBERED = 1000;

/** What {@linkcode serveMessages} needs. */
export interface ServeOptions {
  readonly client: FleetClient;
  readonly membership: Membership;
  readonly handler: FlowerHandler;
  readonly timing: FlowerTiming;
  /** Most bytes of a message. */
  readonly maxBytes: number;
  /** Ends it, after the message that is being served. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: FlowerEvent) => void;
}

/**
 * Asks for messages and serves them, one at a time.
 *
 * @throws {SuperlinkError} the server refuses, or was away for too long.
 * @throws the reason of the signal, in the end.
 */
export async function serveMessages(options: ServeOptions): Promise<never> {
  const { membership, timing, signal, onEvent } = options;
  const served = new Set<string>();
  for (;;) {
    signal.throwIfAborted();
    const { joins } = membership;
    const pulled = await pullMessage(options);
    if (pulled === undefined) {
      await sleep(timing.poll * 1000, signal);
      continue;
    }
    const [{ messageId }] = pulled;
    if (served.has(messageId)) {
      onEvent({ type: "lost", messageId, reason: "the server sent it twice" });
      continue;
    }
    served.add(messageId);
    if (served.size > REMEMBERED) served.delete(served.values().next().value!);
    try {
      await serveMessage(...pulled, options);
    } catch (error) {
      await recover(error, messageId, joins, options);
    }
  }
}

type Pulled = FleetResponse<"pull-messages">;
type Metadata = NonNullable<Pulled["messagesList"][number]["metadata"]>;

async function pullMessage(
  options: ServeOptions,
): Promise<[Metadata, Pulled["messageObjectTrees"][number]] | undefined> {
  const { client, membership } = options;
  let pulled: Pulled;
  try {
    // Only once: a message whose way back was interrupted is gone, and the server would wait for its reply.
    pulled = await client.call("pull-messages", { node: membership.node }, { patience: 0 });
  } catch (error) {
    await comeBack(error, options);
    return undefined;
  }
  const { messagesList: [message], messageObjectTrees: [tree] } = pulled;
  if (message === undefined) return undefined;
  const { metadata } = message;
  if (metadata === undefined || tree === undefined || tree.objectId !== metadata.messageId) {
    throw new FlowerFormatError(
      `Cannot read a message of ${client.superlink}: its description and its objects disagree`,
    );
  }
  return [metadata, tree];
}

/** Waits for a server that was away, and has it know what may have been lost by it. */
async function comeBack(error: unknown, { membership, signal }: ServeOptions): Promise<void> {
  if (!(error instanceof SuperlinkError)) throw error;
  const { joins } = membership;
  if (error.failure === "unauthenticated") return await membership.rejoin(error, joins);
  if (error.failure !== "unreachable") throw error;
  try {
    if (!await membership.beat({ signal })) await membership.rejoin(unknownNode(), joins);
    else if (error.mayHaveArrived) {
      await membership.renew("the server's answer did not arrive, and may have held one");
    }
  } catch (second) {
    if (!(second instanceof SuperlinkError) || second.failure !== "unauthenticated") throw second;
    await membership.rejoin(second, joins);
  }
}

/** Says that a message is lost, and has the server know it. */
async function recover(
  error: unknown,
  messageId: string,
  joins: number,
  { membership, onEvent }: ServeOptions,
): Promise<void> {
  if (!(error instanceof SuperlinkError || error instanceof FlowerFormatError)) throw error;
  const failure = error instanceof SuperlinkError ? error.failure : "failed";
  if (failure === "unreachable") throw error;
  onEvent({ type: "lost", messageId, reason: error.message });
  if (failure === "run-over") return;
  if (failure === "unauthenticated") await membership.rejoin(error, joins);
  else await membership.renew(error.message);
}
