import { afterEach, beforeEach } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import {
  float32Array,
  type FlowerEvent,
  type FlowerHandler,
  type FlowerNodeOptions,
  type FlowerRecord,
  type FlowerRecords,
  runFlowerNode,
} from "../../src/network/mod.ts";
import { addOne } from "./add_one.ts";
import { MockSuperlink } from "./mock_superlink.ts";

/** Waits of a node that has its server on the same machine, and no time. */
export const FAST = {
  poll: 0.02,
  heartbeat: 10,
  answer: 1,
  retry: 0.05,
  patience: 5,
  settle: 0.15,
  grace: 0.3,
};

/** A node that runs until it is told to leave. */
export interface RunningNode {
  readonly events: FlowerEvent[];
  /** Settles when the node has ended. */
  readonly ended: Promise<void>;
  /** Has it leave and waits for that. */
  leave(): Promise<void>;
  /** Waits for an event of a type. */
  event<T extends FlowerEvent["type"]>(type: T): Promise<Extract<FlowerEvent, { type: T }>>;
}

/** A server for each test of the file, and nodes of it, which leave after the test. */
export function mockFederation(): {
  readonly server: MockSuperlink;
  start(options?: Partial<Parameters<typeof startNode>[0]>): RunningNode;
} {
  const nodes: RunningNode[] = [];
  const federation = {
    server: new MockSuperlink(),
    start: (options: Partial<Parameters<typeof startNode>[0]> = {}) => {
      const node = startNode({ superlink: federation.server.url, ...options });
      nodes.push(node);
      return node;
    },
  };
  beforeEach(async () => {
    federation.server = new MockSuperlink();
    await federation.server.start();
  });
  afterEach(async () => {
    await Promise.allSettled(nodes.splice(0).map((node) => node.leave()));
    await federation.server.stop();
  });
  return federation;
}

/** Starts a node that adds one to every array, unless it is given a handler. */
export function startNode(
  options: Omit<FlowerNodeOptions, "handler"> & { readonly handler?: FlowerHandler },
): RunningNode {
  const events: FlowerEvent[] = [];
  const leaving = new AbortController();
  let hasEnded = false;
  const ended = runFlowerNode({
    handler: addOne,
    signal: leaving.signal,
    onEvent: (event) => events.push(event),
    ...options,
    timing: { ...FAST, ...options.timing },
  }).finally(() => hasEnded = true);
  // A test that doesn't look at the end sees its error in the events that don't come.
  ended.catch(() => {});
  return {
    events,
    ended,
    leave: async () => {
      leaving.abort(new Error("the test has the node leave"));
      await ended;
    },
    event: async (type) => {
      for (;;) {
        const found = events.find((event) => event.type === type);
        if (found) return found as never;
        if (hasEnded) {
          await ended.then(() => Promise.reject(new Error(`The node ended without an event ${type}`)));
        }
        await delay(5);
      }
    },
  };
}

/** Records of two small arrays and a setting. */
export function twoArrays(): FlowerRecords {
  return new Map<string, FlowerRecord>([
    ["arrays", {
      type: "arrays",
      arrays: new Map([
        ["a", float32Array([2, 2], Float32Array.of(1, 2, 3, 4))],
        ["b", float32Array([3], Float32Array.of(0, -1, 0.5))],
      ]),
    }],
    ["config", { type: "config", values: new Map([["server-round", 3n]]) }],
  ]);
}
