import { sleep } from "../../../hub/hugging_face/retry.ts";
import type { FleetClient } from "../client/fleet_client.ts";
import type { NodeLock } from "../client/node_lock.ts";
import { type FlowerTiming, SILENCE } from "../client/timing.ts";
import { SuperlinkError } from "../errors.ts";
import type { FlowerEvent } from "../event.ts";

/** A SuperLink's numbers of errors. */
const KEY_IN_USE = 23;
const REGISTRATION_DISABLED = 2001;
const ACTIVATION_FAILED = 2004;

/** How many times its promised heartbeat a server waits for one. */
const HEARTBEAT_PATIENCE = 2;

/** What a {@linkcode Membership} needs. */
export interface MembershipOptions {
  readonly client: FleetClient;
  /** Unless given, the key is used by this process alone, and is unregistered in the end. */
  readonly lock: NodeLock | undefined;
  readonly timing: FlowerTiming;
  /** Ends waits before the node is known. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: FlowerEvent) => void;
}

/** A node's place at a SuperLink: registered once, activated while the process lives. */
export class Membership {
  readonly #options: MembershipOptions;
  #nodeId: bigint | undefined;
  #lastReply = -Infinity;
  #lastJoin = -Infinity;
  #joining: Promise<void> | undefined;

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  /** The node's number. */
  get nodeId(): bigint {
    if (this.#nodeId === undefined) throw new TypeError("Cannot read the node's number: it hasn't joined");
    return this.#nodeId;
  }

  /** The node as calls name it. */
  get node(): { readonly nodeId: bigint } {
    return { nodeId: this.nodeId };
  }

  /**
   * Registers the key, if it isn't yet, and activates the node.
   *
   * @throws {SuperlinkError} the server doesn't accept the key, or another process is this node.
   */
  async join(): Promise<void> {
    const { client, lock, timing, signal } = this.#options;
    const previous = lock?.previous;
    if (previous?.superlink === client.superlink && this.#nodeId === undefined) {
      await this.#bury(previous.nodeId);
    }
    const publicKey = client.key.publicKey;
    const cause = await this.#register(publicKey);
    const request = { publicKey, heartbeatInterval: timing.heartbeat };
    const longest = HEARTBEAT_PATIENCE * timing.heartbeat + timing.settle;
    let said = -Infinity;
    for (let waited = 0;; waited += timing.poll) {
      try {
        this.#nodeId = (await client.call("activate-node", request, { signal })).nodeId;
        await lock?.note({ superlink: client.superlink, nodeId: this.#nodeId });
        if (waited > 0) await this.renew("an earlier process of this node ended without leaving");
        break;
      } catch (error) {
        if (codeOf(error) !== ACTIVATION_FAILED) throw error;
        if (cause === undefined || waited >= longest) {
          throw notActivated(error as SuperlinkError, cause, lock);
        }
        const reason = cause === REGISTRATION_DISABLED
          ? "the server to know this node's key (flwr supernode register), or to give up an earlier process of it"
          : "the server to give up an earlier process of this node, or another one that uses its key";
        if (waited - said >= SILENCE) {
          said = waited;
          this.#say(reason, longest - waited);
        }
        await sleep(timing.poll * 1000, signal);
      }
    }
    this.#lastJoin = performance.now();
    this.#options.onEvent({ type: "joined", superlink: client.superlink, nodeId: this.nodeId });
  }

  /**
   * Joins again when the server has forgotten the node, as one does that was started anew; several callers share one try.
   *
   * @param error by which it was noticed, which is thrown where the node has only just joined.
   */
  async rejoin(error: unknown): Promise<void> {
    if (performance.now() - this.#lastJoin < 1000 * this.#options.timing.poll) throw error;
    this.#joining ??= this.join().finally(() => this.#joining = undefined);
    await this.#joining;
  }

  /**
   * Leaves for as long as the server's program takes to look, and comes back: what the server waits for from this node and can
   * no longer get is then counted as failed at once, and not after an hour.
   */
  async renew(reason: string): Promise<void> {
    const { client, timing, signal } = this.#options;
    this.#say(`the server to see that a message is lost: ${reason}`, timing.settle);
    await client.call("deactivate-node", this.node, { signal });
    await sleep(timing.settle * 1000, signal);
    const request = { publicKey: client.key.publicKey, heartbeatInterval: timing.heartbeat };
    this.#nodeId = (await client.call("activate-node", request, { signal })).nodeId;
  }

  /** Notes that a reply has arrived, which the server's program needs time to see. */
  noteReply(): void {
    this.#lastReply = performance.now();
  }

  /**
   * Leaves, when the server's program has had time to see the last reply. A server that is away is not waited for.
   *
   * @returns whether the server knows.
   */
  async leave(): Promise<boolean> {
    const { client, lock, timing, onEvent } = this.#options;
    const left = timing.settle - (performance.now() - this.#lastReply) / 1000;
    if (left > 0) {
      this.#say("the server to see the last reply", left);
      await sleep(left * 1000);
    }
    try {
      await client.call("deactivate-node", this.node, { patience: timing.settle });
      if (lock === undefined) await client.call("unregister-node", this.node, { patience: timing.settle });
    } catch (error) {
      // Without its signs of life, the server gives the node up by itself.
      if (!(error instanceof SuperlinkError)) throw error;
      onEvent({ type: "left", reason: error.message });
      return false;
    }
    onEvent({ type: "left" });
    return true;
  }

  /** Has the server count as failed what a process that was killed has not answered. */
  async #bury(nodeId: bigint): Promise<void> {
    const { client, timing, signal } = this.#options;
    try {
      await client.call("deactivate-node", { nodeId }, { signal });
    } catch (error) {
      // The server was started anew, or has given the process up already.
      if (!(error instanceof SuperlinkError) || error.failure === "unreachable") throw error;
      if (error.failure === "unauthenticated") return;
    }
    this.#say("the server to see that an earlier process of this node was killed", timing.settle);
    await sleep(timing.settle * 1000, signal);
  }

  /** @returns why an activation may have to wait: the number of the error with which the key was not registered. */
  async #register(publicKey: Uint8Array): Promise<number | undefined> {
    const { client, signal } = this.#options;
    try {
      await client.call("register-node", { publicKey }, { signal });
      return undefined;
    } catch (error) {
      const code = codeOf(error);
      if (code === KEY_IN_USE || code === REGISTRATION_DISABLED) return code;
      throw error;
    }
  }

  #say(what: string, seconds: number): void {
    this.#options.onEvent({ type: "waiting", for: what, seconds });
  }
}

function codeOf(error: unknown): number | undefined {
  return error instanceof SuperlinkError ? error.code : undefined;
}

function notActivated(
  error: SuperlinkError,
  cause: number | undefined,
  lock: NodeLock | undefined,
): SuperlinkError {
  const reason = cause === REGISTRATION_DISABLED
    ? `the server takes registered keys only: give ${
      lock?.keyFile ?? "a key file"
    }.pub to flwr supernode register`
    : `another process is a node with the key${
      lock ? ` ${lock.keyFile}` : ""
    }, or it was unregistered, after which no server takes it: name a new file`;
  return new SuperlinkError(`${error.message}; ${reason}`, {
    failure: error.failure,
    code: error.code,
    cause: error,
  });
}
