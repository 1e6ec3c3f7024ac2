import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { FAST, mockFederation, twoArrays } from "../../../support/flower_node.ts";
import type { Fault } from "../../../support/mock_superlink.ts";

const federation = mockFederation();
const { start } = federation;

/** Something goes wrong with the first call of a name. */
function once(call: string, fault: Fault): void {
  federation.server.fault = (name, count) => name === call && count === 1 ? fault : undefined;
}

test("runFlowerNode() waits for a server that isn't there yet, and says so", async () => {
  const { server } = federation;
  const { url } = server;
  await server.stop();
  const node = start({ superlink: url });
  const { for: what, seconds } = await node.event("waiting");
  assert.match(what, /^the SuperLink: Cannot register node at http:\S+: connect ECONNREFUSED/);
  assert.equal(Math.round(seconds), FAST.patience);
  await server.start();
  assert.ok("records" in await server.send((await server.node()).nodeId, { records: twoArrays() }));
});

test("runFlowerNode() gives up when its patience is at its end, and names what it waited for", async () => {
  const { server } = federation;
  const { url } = server;
  await server.stop();
  await assert.rejects(start({ superlink: url, timing: { patience: 0.3 } }).ended, {
    name: "SuperlinkError",
    failure: "unreachable",
    message: /^Cannot register node at http:\S+: connect ECONNREFUSED \S+; waited 0 s for it$/,
  });
});

test("runFlowerNode() comes back to a server that was away, and serves its next message", async () => {
  const { server } = federation;
  const node = start();
  const { nodeId } = await server.node();
  await server.stop();
  await node.event("waiting");
  await server.start();
  // Where the server went away with a question in its hands, the node leaves for a moment first.
  const outcome = await server.send(nodeId, { records: twoArrays() });
  if ("unavailable" in outcome) await server.node();
  assert.ok("records" in await server.send(nodeId, { records: twoArrays() }));
});

test("runFlowerNode() joins a server again that was started anew and knows nobody", async () => {
  const { server } = federation;
  const node = start();
  await server.node();
  await delay(FAST.poll * 2000);
  await server.stop();
  server.forget();
  await server.start();
  assert.ok("records" in await server.send((await server.node()).nodeId, { records: twoArrays() }));
  assert.equal(node.events.filter(({ type }) => type === "joined").length, 2);
});

test("runFlowerNode() tries again after 502, 503 and 504", async () => {
  const { server } = federation;
  const faults = new Map<string, number>([["register-node", 503], ["pull-object", 502], [
    "push-messages",
    504,
  ], [
    "push-object",
    503,
  ]]);
  server.fault = (call, count) => count === 1 && faults.has(call) ? { status: faults.get(call)! } : undefined;
  start();
  assert.ok("records" in await server.send((await server.node()).nodeId, { records: twoArrays() }));
});

test("runFlowerNode() tries again when there is no answer in time", async () => {
  const { server } = federation;
  once("push-messages", "silence");
  start({ timing: { answer: 0.2 } });
  assert.ok("records" in await server.send((await server.node()).nodeId, { records: twoArrays() }));
});

test("runFlowerNode() announces a reply again whose announcement was heard and not answered", async () => {
  const { server } = federation;
  once("push-messages", "lost answer");
  const node = start();
  assert.ok("records" in await server.send((await server.node()).nodeId, { records: twoArrays() }));
  await node.leave();
  assert.equal(node.events.filter(({ type }) => type === "replied").length, 1);
});

test("runFlowerNode() announces a reply again when it can't tell which objects have arrived", async () => {
  const { server } = federation;
  once("push-object", "lost answer");
  const node = start();
  assert.ok("records" in await server.send((await server.node()).nodeId, { records: twoArrays() }));
  assert.equal((await node.event("replied")).error, undefined);
});

test("runFlowerNode() has the server count a message as failed that was lost on the way", async () => {
  const { server } = federation;
  const node = start();
  const { nodeId } = await server.node();
  const sent = server.send(nodeId, { records: twoArrays() });
  const count = server.calls.filter((call) => call === "pull-messages").length;
  server.fault = (call, nth) => call === "pull-messages" && nth === count + 1 ? "lost answer" : undefined;
  assert.deepEqual(await sent, { unavailable: true });
  const waits = node.events.flatMap((event) => event.type === "waiting" ? [event.for] : []);
  assert.ok(
    waits.includes(
      "the server to see that a message is lost: the server's answer did not arrive, and may have held one",
    ),
  );
  await server.node();
  assert.ok("records" in await server.send(nodeId, { records: twoArrays() }));
});

test("runFlowerNode() gives no sign of life while it stays away", async () => {
  const { server } = federation;
  // Signs of life come every 0.07 to 0.09 s.
  const node = start({ timing: { heartbeat: 0.2, settle: 0.6 } });
  const { nodeId } = await server.node();
  once("push-messages", { status: 500 });
  assert.deepEqual(await server.send(nodeId), { unavailable: true });
  await node.event("lost");
  for (let i = 0; i < 20; i++) {
    assert.equal(server.online().length, 0);
    await delay(20);
  }
  await server.node();
});

test("runFlowerNode() joins a server again that forgot it while it stayed away", async () => {
  const { server } = federation;
  const node = start({ timing: { settle: 0.1 } });
  const { nodeId } = await server.node();
  server.fault = (call, count) => {
    if (call !== "push-messages" || count > 1) return undefined;
    server.forget();
    return { status: 500 };
  };
  await delay(FAST.poll * 1000);
  void server.send(nodeId);
  await node.event("lost");
  assert.ok("records" in await server.send((await server.node()).nodeId));
});

test("runFlowerNode() says that a reply was dropped, and goes on", async () => {
  const { server } = federation;
  const node = start({
    handler: ({ messageId, groupId }) => {
      assert.equal(groupId, "3");
      if (server.pushed.length === 0) server.withdraw(messageId);
      return new Map();
    },
  });
  const { nodeId } = await server.node();
  void server.send(nodeId);
  assert.match((await node.event("lost")).reason, /^the server dropped the reply/);
});

test("runFlowerNode() drops a message whose run is over, and goes on", async () => {
  const { server } = federation;
  const node = start({
    handler: () => {
      server.isRunOver = true;
      return new Map();
    },
  });
  const { nodeId } = await server.node();
  void server.send(nodeId);
  assert.match((await node.event("lost")).reason, /it answered 403 \(code 2007\)/);
  server.isRunOver = false;
  await delay(50);
  assert.equal(server.online().length, 1);
});

test("runFlowerNode() joins again and loses its message where the server forgets it while it works", async () => {
  const { server } = federation;
  const node = start({
    handler: () => {
      server.forget();
      return new Map();
    },
  });
  const { nodeId } = await server.node();
  await delay(FAST.poll * 1000);
  void server.send(nodeId);
  assert.match((await node.event("lost")).reason, /it answered 401/);
  await server.node();
});

test("runFlowerNode() serves a message once that the server gives twice", async () => {
  const { server } = federation;
  let count = 0;
  const node = start({
    handler: ({ messageId }) => {
      if (count++ === 0) server.repeat(messageId);
      return new Map();
    },
  });
  assert.ok("records" in await server.send((await server.node()).nodeId));
  assert.equal((await node.event("lost")).reason, "the server sent it twice");
  assert.equal(count, 1);
});

test("runFlowerNode() has the server count a message as failed where it fails at a reply", async () => {
  const { server } = federation;
  once("push-messages", { status: 500, body: "Internal Server Error", type: "text/plain" });
  const node = start();
  const { nodeId } = await server.node();
  assert.deepEqual(await server.send(nodeId), { unavailable: true });
  assert.match((await node.event("lost")).reason, /it answered 500: "Internal Server Error"$/);
  await server.node();
  assert.ok("records" in await server.send(nodeId));
});
