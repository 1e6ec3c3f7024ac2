import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { mockFederation, startNode } from "../../../support/flower_node.ts";
import { temporaryFolder } from "../../../support/temporary_files.ts";

const folder = temporaryFolder();
const federation = mockFederation();

/** What a node that was killed leaves: an activated node, and the lock of a process that is no more. */
async function killedNode(keyFile: string): Promise<bigint> {
  const { server } = federation;
  const node = federation.start({ keyFile, handler: () => new Promise(() => {}) });
  const { nodeId } = await node.event("joined");
  const lock = JSON.parse(await readFile(`${keyFile}.lock`, "utf8"));
  assert.deepEqual([lock.pid, lock.superlink, lock.nodeId], [process.pid, server.url, String(nodeId)]);
  await node.leave();
  const { pid } = spawnSync(process.execPath, ["--version"]);
  await writeFile(`${keyFile}.lock`, JSON.stringify({ ...lock, pid }));
  Object.assign([...server.nodes.values()][0]!, { status: "online", onlineUntil: Date.now() + 60_000 });
  return nodeId;
}

test("runFlowerNode() has the server count as failed what a killed process has not answered, and takes its place", async () => {
  const { server, start } = federation;
  const keyFile = join(folder, "killed.key");
  const nodeId = await killedNode(keyFile);
  const lost = server.send(nodeId);
  const node = start({ keyFile });
  assert.equal(
    (await node.event("waiting")).for,
    "the server to see that an earlier process of this node was killed",
  );
  assert.deepEqual(await lost, { unavailable: true });
  assert.equal((await node.event("joined")).nodeId, nodeId);
  assert.ok("records" in await server.send(nodeId));
});

test("runFlowerNode() takes the place of a killed process at a server that was started anew", async () => {
  const { server, start } = federation;
  const keyFile = join(folder, "forgotten.key");
  await killedNode(keyFile);
  server.forget();
  const node = start({ keyFile });
  await node.event("joined");
  assert.equal(node.events.length, 1);
});

test("runFlowerNode() remembers that the server doesn't know that it has left", async () => {
  const { server } = federation;
  const keyFile = join(folder, "unheard.key");
  const first = startNode({ superlink: server.url, keyFile });
  const { nodeId } = await first.event("joined");
  server.fault = (call) => call === "deactivate-node" ? { status: 503 } : undefined;
  await first.leave();
  assert.match(String(first.events.map((event) => event.type === "left" && event.reason)), /it answered 503/);
  assert.equal(JSON.parse(await readFile(`${keyFile}.lock`, "utf8")).hasEnded, true);
  server.fault = () => undefined;
  const second = federation.start({ keyFile });
  assert.equal((await second.event("joined")).nodeId, nodeId);
  assert.ok(second.events.some((event) => event.type === "waiting" && /was killed$/.test(event.for)));
});
