import { sleep } from "../../../hub/hugging_face/retry.ts";
import type { CallOptions } from "../client/fleet_client.ts";
import type { NodeLock } from "../client/node_lock.ts";
import { SuperlinkError } from "../errors.ts";
import { comeBack, type JoinOptions, joinSuperlink, stayAway } from "./join_superlink.ts";

/** What a {@linkcode Membership} needs. */
export interface MembershipOptions extends JoinOptions {
  /** Unless given, the key is used by this process alone, and is unregistered in the end. */
  readonly lock: NodeLock | undefined;
}

/**
 * A node's place at a SuperLink: registered once, activated while the process lives. It does one thing at a time, so that no sign of life
 * brings a node back that is staying away.
 */
export class Membership {
  readonly #options: MembershipOptions;
  #nodeId: bigint | undefined;
  #joins = 0;
  #lastJoin = -Infinity;
  #lastReply = -Infinity;
  #hasLeft = false;
  #last: Promise<unknown> = Promise.resolve();

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

  /** How often the node has joined. */
  get joins(): number {
    return this.#joins;
  }

  /**
   * Joins, after a server has seen that an earlier process of this node is no more.
   *
   * @throws {SuperlinkError} the server doesn't accept the key, or another process is this node.
   */
  async join(): Promise<void> {
    await this.#alone(async () => {
      const { client, lock } = this.#options;
      const previous = lock?.previous;
      if (previous?.superlink === client.superlink) {
        await stayAway(previous.nodeId, "an earlier process of this node was killed", this.#options);
      }
      await this.#join();
    });
  }

  /**
   * Joins again where the server has forgotten the node, as one does that was started anew.
   *
   * @param error by which it was noticed; it is thrown where the node has only just joined.
   * @param joins how often the node had joined before: if it has joined since, nothing is left to do.
   */
  async rejoin(error: unknown, joins: number): Promise<void> {
    await this.#alone(async () => {
      if (this.#joins !== joins) return;
      if (performance.now() - this.#lastJoin < 1000 * this.#options.timing.poll) throw error;
      await this.#join();
    });
  }

  /** Has the server count as failed what it waits for from this node and can't get, by leaving for a moment. */
  async renew(reason: string): Promise<void> {
    await this.#alone(async () => {
      if (await stayAway(this.nodeId, `a message is lost: ${reason}`, this.#options)) {
        await comeBack(this.#options);
      } else await this.#join();
    });
  }

  /**
   * Tells the server that the node lives.
   *
   * @returns whether the server knows the node.
   * @throws {SuperlinkError} the server refuses, or is away.
   */
  async beat(options: CallOptions): Promise<boolean> {
    return await this.#alone(async () => {
      if (this.#hasLeft) return true;
      const { client, timing } = this.#options;
      const request = { node: this.node, heartbeatInterval: timing.heartbeat };
      return (await client.call("send-node-heartbeat", request, options)).success;
    });
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
      onEvent({ type: "waiting", for: "the server to see the last reply", seconds: left });
      await sleep(left * 1000);
    }
    return await this.#alone(async () => {
      this.#hasLeft = true;
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
    });
  }

  async #join(): Promise<void> {
    const { client, lock, onEvent } = this.#options;
    const { nodeId, hadEarlier } = await joinSuperlink(lock?.keyFile, this.#options);
    this.#nodeId = nodeId;
    await lock?.note({ superlink: client.superlink, nodeId });
    if (hadEarlier) {
      await stayAway(nodeId, "an earlier process of this node ended without leaving", this.#options);
      await comeBack(this.#options);
    }
    this.#joins++;
    this.#lastJoin = performance.now();
    onEvent({ type: "joined", superlink: client.superlink, nodeId });
  }

  /** Does something when what was begun before is done. */
  async #alone<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#last.then(act);
    this.#last = result.catch(() => {});
    return await result;
  }
}
