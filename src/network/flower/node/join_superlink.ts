import { sleep } from "../../../hub/hugging_face/retry.ts";
import type { FleetClient } from "../client/fleet_client.ts";
import { type FlowerTiming, SILENCE } from "../client/timing.ts";
import { SuperlinkError } from "../errors.ts";
import type { FlowerEvent } from "../event.ts";

/** A SuperLink's numbers of errors. */
const KEY_IN_USE = 23;
const REGISTRATION_DISABLED = 2001;
const ACTIVATION_FAILED = 2004;

/** How many times its promised heartbeat a server waits for one. */
const HEARTBEAT_PATIENCE = 2;

/** What joining and leaving need. */
export interface JoinOptions {
  readonly client: FleetClient;
  readonly timing: FlowerTiming;
  /** Ends the waits. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: FlowerEvent) => void;
}

/** The number of an activated node, and whether the server had to give up an earlier process of it first. */
export interface Joined {
  readonly nodeId: bigint;
  readonly hadEarlier: boolean;
}

/**
 * Registers the client's key, if it isn't yet, and activates the node.
 *
 * @param keyFile for the words of errors.
 * @throws {SuperlinkError} the server doesn't accept the key, or another process is this node.
 */
export async function joinSuperlink(keyFile: string | undefined, options: JoinOptions): Promise<Joined> {
  const { timing, signal, onEvent } = options;
  const isClosed = await register(options);
  const longest = HEARTBEAT_PATIENCE * timing.heartbeat + timing.settle;
  const reason = isClosed
    ? "the server to know this node's key (flwr supernode register), or to give up an earlier process of it"
    : "the server to give up an earlier process of this node, or another one that uses its key";
  let said = -Infinity;
  for (let waited = 0;; waited += timing.poll) {
    try {
      return { nodeId: await activate(options), hadEarlier: waited > 0 };
    } catch (error) {
      if (!hasCode(error, ACTIVATION_FAILED)) throw error;
      if (waited >= longest) throw notActivated(error, isClosed, keyFile);
      if (waited - said >= SILENCE) {
        said = waited;
        onEvent({ type: "waiting", for: reason, seconds: longest - waited });
      }
      await sleep(timing.poll * 1000, signal);
    }
  }
}

/**
 * Leaves for as long as a server's program takes to look, and comes back: what it waits for from this node and can no longer get
 * is then counted as failed at once, and not after an hour.
 *
 * @param reason for the words of the wait.
 * @returns whether the server still knew the node; otherwise it has nothing to wait for.
 */
export async function stayAway(nodeId: bigint, reason: string, options: JoinOptions): Promise<boolean> {
  const { client, timing, signal, onEvent } = options;
  try {
    await client.call("deactivate-node", { nodeId }, { signal });
  } catch (error) {
    if (!(error instanceof SuperlinkError)) throw error;
    if (error.failure === "unauthenticated") return false;
    // The server has given it up already.
    if (error.failure !== "precondition") throw error;
  }
  onEvent({ type: "waiting", for: `the server to see that ${reason}`, seconds: timing.settle });
  await sleep(timing.settle * 1000, signal);
  return true;
}

/** Activates a node that has stayed away. */
export async function comeBack(options: JoinOptions): Promise<void> {
  try {
    await activate(options);
  } catch (error) {
    // It was activated before, and the answer was lost.
    if (!hasCode(error, ACTIVATION_FAILED)) throw error;
  }
}

async function activate({ client, timing, signal }: JoinOptions): Promise<bigint> {
  const request = { publicKey: client.key.publicKey, heartbeatInterval: timing.heartbeat };
  return (await client.call("activate-node", request, { signal })).nodeId;
}

/** @returns whether the server takes registered keys only. */
async function register({ client, signal }: JoinOptions): Promise<boolean> {
  try {
    await client.call("register-node", { publicKey: client.key.publicKey }, { signal });
  } catch (error) {
    if (hasCode(error, REGISTRATION_DISABLED)) return true;
    if (!hasCode(error, KEY_IN_USE)) throw error;
  }
  return false;
}

function hasCode(error: unknown, code: number): error is SuperlinkError {
  return error instanceof SuperlinkError && error.code === code;
}

function notActivated(error: SuperlinkError, isClosed: boolean, keyFile: string | undefined): SuperlinkError {
  const reason = isClosed
    ? `the server takes registered keys only: give ${keyFile ?? "a key file"}.pub to flwr supernode register`
    : `another process is a node with the key${
      keyFile === undefined ? "" : ` ${keyFile}`
    }, or it was unregistered, after which ` +
      "no server takes it: name a new file";
  return new SuperlinkError(`${error.message}; ${reason}`, {
    failure: error.failure,
    code: error.code,
    cause: error,
  });
}
