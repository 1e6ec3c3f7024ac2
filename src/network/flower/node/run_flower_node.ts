import { readFile } from "node:fs/promises";
import { describeCause } from "../../../data/files/describe_cause.ts";
import { FleetClient } from "../client/fleet_client.ts";
import { NodeKey, openNodeKey } from "../client/node_key.ts";
import { NodeLock } from "../client/node_lock.ts";
import { FLOWER_TIMING, type FlowerTiming } from "../client/timing.ts";
import type { FlowerEvent } from "../event.ts";
import type { FlowerHandler } from "../message.ts";
import { sendHeartbeats } from "./heartbeat.ts";
import { Membership } from "./membership.ts";
import { serveMessages } from "./serve_messages.ts";

/** Most bytes of a message: 1 GiB. */
const MAX_BYTES = 2 ** 30;

/** What a node needs. */
export interface FlowerNodeOptions {
  /** Address of the SuperLink, such as `http://127.0.0.1:8000`. */
  readonly superlink: string;
  /** Does what messages ask. */
  readonly handler: FlowerHandler;
  /**
   * File of the node's private key (P-384, PEM), which is made where there is none; one for each node. Without it, the node has a key
   * for this once.
   */
  readonly keyFile?: string | undefined;
  /** File of the certificates (PEM) that the server's must follow from, in place of the system's. */
  readonly caFile?: string | undefined;
  /** Whether a server on another machine may be called without TLS, so that everybody on the way can read what is sent. */
  readonly insecure?: boolean | undefined;
  /** Most bytes of a message; 1 GiB unless given. */
  readonly maxBytes?: number | undefined;
  /** Changes how long is waited for what. */
  readonly timing?: Partial<FlowerTiming> | undefined;
  /** Has the node leave: it finishes its message first. Without it, a node serves as long as its process lives. */
  readonly signal?: AbortSignal | undefined;
  /** Receives what happens. */
  readonly onEvent?: ((event: FlowerEvent) => void) | undefined;
}

/**
 * Joins a federation of Flower (a SuperLink of release 1.40 or newer, over HTTP) as a node of its own, in the place of Flower's
 * SuperNode, and serves its messages, one at a time, until the signal (Node only).
 *
 * A server that is away is waited for; one that was started anew is joined again. A node that is killed while it works loses that
 * message: its next process with the same key tells the server so, and the round goes on.
 *
 * @throws {NodeKeyError} the key's file cannot be used, or another process of this machine uses it.
 * @throws {SuperlinkError} the server refuses the node, or was away for longer than the node's patience.
 * @throws {TypeError} the address is none, or is another machine's without TLS.
 * @throws {RangeError} a time isn't over 0.
 *
 * @example
 * ```ts no-run
 * await runFlowerNode({
 *   superlink: "http://127.0.0.1:8000",
 *   keyFile: "node.key",
 *   handler: (message) => {
 *     if (message.type !== "evaluate") throw new UnknownMessageTypeError(`Cannot serve ${message.type}`);
 *     return new Map([["metrics", { type: "metrics", values: new Map([["num-examples", 7n], ["loss", 0.5]]) }]]);
 *   },
 * });
 * ```
 */
export async function runFlowerNode(options: FlowerNodeOptions): Promise<void> {
  const { keyFile, caFile, handler, maxBytes = MAX_BYTES, signal: leaving, onEvent = () => {} } = options;
  const superlink = parseSuperlink(options);
  const timing = checkedTiming(options.timing);
  const ca = caFile === undefined ? undefined : await readCertificates(caFile);
  const lock = keyFile === undefined ? undefined : await NodeLock.take(keyFile);
  let hasLeft = false;
  try {
    const key = keyFile === undefined ? NodeKey.generate() : await openNodeKey(keyFile);
    const client = new FleetClient(superlink, { key, timing, maxBytes, ca, onEvent });
    // The node ends by the caller's signal, or because the server no longer takes its signs of life.
    const failing = new AbortController();
    const signal = AbortSignal.any([failing.signal, ...(leaving ? [leaving] : [])]);
    const living = new AbortController();
    try {
      const membership = new Membership({ client, lock, timing, signal, onEvent });
      await membership.join();
      const beating = sendHeartbeats({ membership, timing, signal: living.signal })
        .catch((error) => living.signal.aborted || failing.abort(error));
      try {
        await serveMessages({ client, membership, handler, timing, maxBytes, signal, onEvent });
      } finally {
        hasLeft = await membership.leave();
        living.abort();
        await beating;
      }
    } catch (error) {
      if (!leaving?.aborted || error !== leaving.reason) throw error;
    } finally {
      client.close();
    }
  } finally {
    await lock?.release(hasLeft);
  }
}

function checkedTiming(changes: Partial<FlowerTiming> | undefined): FlowerTiming {
  for (const [name, seconds] of Object.entries(changes ?? {})) {
    if (!(seconds > 0)) {
      throw new RangeError(`Cannot join a federation: expected timing.${name} over 0 s, got ${seconds}`);
    }
  }
  return { ...FLOWER_TIMING, ...changes };
}

/**
 * The address of a SuperLink.
 *
 * @throws {TypeError} when it isn't one, or another machine's without TLS.
 */
export function parseSuperlink(
  { superlink, insecure = false }: Pick<FlowerNodeOptions, "superlink" | "insecure">,
): URL {
  const url = URL.canParse(superlink) ? new URL(superlink) : undefined;
  if (
    url === undefined || !/^https?:$/.test(url.protocol) || url.host === "" ||
    url.username + url.password !== ""
  ) {
    throw new TypeError(
      `Cannot join a federation: expected the address of a SuperLink, such as http://127.0.0.1:8000, got ${
        JSON.stringify(superlink)
      }`,
    );
  }
  const isLoopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url.protocol === "http:" && !isLoopback && !insecure) {
    throw new TypeError(
      `Cannot join a federation at ${url.origin}: expected https, as ${url.hostname} is another machine; without TLS, everybody on the way ` +
        "can read what is sent, which insecure allows",
    );
  }
  return url;
}

async function readCertificates(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new TypeError(`Cannot read the certificates ${path}: ${describeCause(cause)}`, { cause });
  }
  if (!text.includes("-----BEGIN CERTIFICATE-----")) {
    throw new TypeError(`Cannot read the certificates ${path}: expected PEM, got no certificate`);
  }
  return text;
}
