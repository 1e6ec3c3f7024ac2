import assert from "node:assert/strict";
import { mkdtemp, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type FlowerMessage, runFlowerNode, UnknownMessageTypeError } from "../../../../src/network/mod.ts";
import { addOne } from "../../../support/add_one.ts";
import { FAST, mockFederation, twoArrays } from "../../../support/flower_node.ts";
import type { MockSuperlink } from "../../../support/mock_superlink.ts";
import { temporaryFolder } from "../../../support/temporary_files.ts";

const folder = temporaryFolder();
const federation = mockFederation();
const { start } = federation;

const keyFile = async () => join(await mkdtemp(join(folder, "key-")), "node.key");

test("runFlowerNode() serves messages and sends what its handler gives", async () => {
  const seen: FlowerMessage[] = [];
  const node = start({
    handler: (message, context) => {
      seen.push(message);
      return addOne(message, context);
    },
  });
  const { nodeId } = await federation.server.node();
  const outcome = await federation.server.send(nodeId, { records: twoArrays() });
  assert.ok("records" in outcome);
  assert.deepEqual([...outcome.records.keys()], ["arrays", "metrics"]);
  assert.deepEqual(outcome.records.get("arrays"), {
    type: "arrays",
    arrays: new Map([
      ["a", { dtype: "float32", shape: [2, 2], data: Float32Array.of(2, 3, 4, 5) }],
      ["b", { dtype: "float32", shape: [3], data: Float32Array.of(1, 0, 1.5) }],
    ]),
  });
  assert.deepEqual(outcome.records.get("metrics"), {
    type: "metrics",
    values: new Map<string, bigint | number>([["num-examples", 7n], ["loss", 0.25]]),
  });
  assert.equal(seen.length, 1);
  assert.deepEqual(seen[0]!.records, twoArrays());
  assert.deepEqual([seen[0]!.runId, seen[0]!.type, seen[0]!.groupId, seen[0]!.ttl], [
    2n ** 63n + 77n,
    "train",
    "3",
    3600,
  ]);
  await node.leave();
  assert.deepEqual(node.events.map(({ type }) => type), ["joined", "received", "replied", "waiting", "left"]);
  assert.deepEqual([...federation.server.nodes.values()].map(({ status }) => status), ["unregistered"]);
  const calls = federation.server.calls.filter((call) =>
    call !== "pull-messages" && call !== "pull-object" && call !== "push-object"
  );
  assert.deepEqual(calls, [
    "register-node",
    "activate-node",
    "confirm-message-received",
    "push-messages",
    "deactivate-node",
    "unregister-node",
  ]);
});

test("runFlowerNode() sends only the objects that the server lacks", async () => {
  start();
  const { nodeId } = await federation.server.node();
  await federation.server.send(nodeId, { records: twoArrays() });
  // Two arrays of a chunk each, their record, the metrics, the set of records and the message.
  assert.equal(federation.server.pushed.length, 8);
  await federation.server.send(nodeId, { records: twoArrays() });
  assert.equal(federation.server.pushed.length, 9, "only the message itself is new");
});

test("runFlowerNode() answers with an error where the handler fails, and goes on", async () => {
  const handler = ({ type }: FlowerMessage) => {
    if (type === "query") throw new UnknownMessageTypeError("Cannot serve query");
    if (type === "train") throw new RangeError("Cannot train: the loss is NaN");
    return new Map([["metrics", { type: "metrics", values: new Map([["n", 1]]) } as const]]);
  };
  const node = start({ handler });
  const { nodeId } = await federation.server.node();
  const unknown = await errorOf(federation.server.send(nodeId, { type: "query" }));
  assert.deepEqual([unknown.code, unknown.reason], [1n, "Cannot serve query"]);
  const failed = await errorOf(federation.server.send(nodeId, { type: "train" }));
  assert.deepEqual([failed.code, failed.reason], [2n, "Cannot train: the loss is NaN"]);
  assert.ok("records" in await federation.server.send(nodeId, { type: "evaluate" }));
  await node.leave();
  const errors = node.events.flatMap((event) => event.type === "replied" ? [event.error] : []);
  assert.deepEqual(errors.at(-2), "Cannot train: the loss is NaN");
  assert.equal(errors.at(-1), undefined);
});

test("runFlowerNode() answers with an error where the records can't be sent", async () => {
  start({
    handler: () => new Map([["x", { type: "metrics", values: new Map([["n", "seven" as never]]) } as const]]),
  });
  const { nodeId } = await federation.server.node();
  const { code, reason } = await errorOf(federation.server.send(nodeId));
  assert.equal(code, 2n);
  assert.match(reason, /^Cannot write n: expected a number .* got string$/);
});

test("runFlowerNode() makes the key that only its owner may read, and is the same node with it again", async () => {
  const path = await keyFile();
  const first = start({ keyFile: path });
  const { nodeId } = await federation.server.node();
  await first.leave();
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.match(await readFile(`${path}.pub`, "utf8"), /^ecdsa-sha2-nistp384 \S+\n$/);
  await assert.rejects(stat(`${path}.lock`), { code: "ENOENT" });
  const second = start({ keyFile: path });
  assert.equal((await second.event("joined")).nodeId, nodeId);
  assert.deepEqual([...federation.server.nodes.values()].map(({ status }) => status), ["online"]);
});

test("runFlowerNode() refuses a key that a live process uses", async () => {
  const path = await keyFile();
  await start({ keyFile: path }).event("joined");
  await assert.rejects(runFlowerNode({ superlink: federation.server.url, keyFile: path, handler: addOne }), {
    name: "NodeKeyError",
    message:
      `Cannot use the node key ${path}: process ${process.pid} is a node with it; give each node of a machine a file of its own`,
  });
});

test("runFlowerNode() finishes its message when it is told to leave", async () => {
  let isWorking = false;
  const node = start({
    handler: async (message, context) => {
      isWorking = true;
      await delay(100);
      assert.equal(context.signal.aborted, true);
      return addOne(message, context);
    },
  });
  const { nodeId } = await federation.server.node();
  const sent = federation.server.send(nodeId, { records: twoArrays() });
  while (!isWorking) await delay(5);
  await node.leave();
  assert.ok("records" in await sent);
});

test("runFlowerNode() ends when a handler goes on after its signal, and the server sees that the message is lost", async () => {
  let isWorking = false;
  const node = start({
    handler: () => {
      isWorking = true;
      return new Promise(() => {});
    },
  });
  const { nodeId } = await federation.server.node();
  const sent = federation.server.send(nodeId);
  while (!isWorking) await delay(5);
  await assert.rejects(node.leave(), {
    message: "Cannot go on: the handler of train did not end within 0.3 s of its signal",
  });
  assert.deepEqual(await sent, { unavailable: true });
});

test("runFlowerNode() tells the handler when the time for its reply has run out", async () => {
  const node = start({
    handler: (_, { signal }) =>
      new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason), { once: true })
      ),
  });
  const { nodeId } = await federation.server.node();
  void federation.server.send(nodeId, { ttl: 0.2 });
  assert.equal((await node.event("lost")).reason, "it was not done within the 0.2 s that the server gave");
});

test("runFlowerNode() tells the server that it lives while it works", async () => {
  let count = 0;
  start({
    timing: { ...FAST, heartbeat: 0.2 },
    handler: async (message, context) => {
      await delay(700);
      count = federation.server.calls.filter((call) => call === "send-node-heartbeat").length;
      return addOne(message, context);
    },
  });
  const { nodeId } = await federation.server.node();
  assert.ok("records" in await federation.server.send(nodeId));
  // Every 0.07 to 0.09 s, in 0.7 s.
  assert.ok(count >= 5 && count <= 10, `${count} signs of life`);
});

async function errorOf(sent: ReturnType<MockSuperlink["send"]>): Promise<{ code: bigint; reason: string }> {
  const outcome = await sent;
  assert.ok("error" in outcome, JSON.stringify(Object.keys(outcome)));
  return outcome.error;
}
