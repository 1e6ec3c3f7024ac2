import assert from "node:assert/strict";
import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type FlowerNodeOptions, runFlowerNode } from "../../../../src/network/mod.ts";
import { addOne } from "../../../support/add_one.ts";
import { FAST, mockFederation, startNode, twoArrays } from "../../../support/flower_node.ts";
import { LOOPBACK_CERTIFICATE } from "../../../support/loopback_certificate.ts";
import { type Fault, MockSuperlink } from "../../../support/mock_superlink.ts";
import { temporaryFolder } from "../../../support/temporary_files.ts";

const folder = temporaryFolder();
const federation = mockFederation();

/** What becomes of a node that the server refuses. */
function refused(options: Partial<FlowerNodeOptions> = {}): Promise<void> {
  return runFlowerNode({ superlink: federation.server.url, handler: addOne, timing: FAST, ...options });
}

test("runFlowerNode() explains a 401 by a clock that is behind or ahead", async () => {
  federation.server.clock = 1000;
  await assert.rejects(refused(), {
    name: "SuperlinkError",
    failure: "unauthenticated",
    message:
      /401: "Invalid SuperNode authentication"; this machine's clock is (999|1000|1001) s behind the server's, and it may be 5 s ahead to 305 s behind: set the clock$/,
  });
  federation.server.clock = -60;
  await assert.rejects(refused(), { message: /this machine's clock is (59|60|61) s ahead of the server's/ });
});

test("runFlowerNode() explains a 401 by the key where the clocks agree", async () => {
  federation.server.fault = () => ({ status: 401, body: `{"detail": "no"}` });
  await assert.rejects(refused(), {
    message:
      /^Cannot register node at http:\S+: it answered 401: "no"; the clocks agree \(this one is [01] s (ahead of|behind) the server's\), so the server does not know the node's key/,
  });
});

test("runFlowerNode() goes on after a refused registration where the key is registered by somebody else", async () => {
  const { server } = federation;
  const keyFile = join(folder, "registered.key");
  await startNode({ superlink: server.url, keyFile }).leave().catch(() => {});
  server.isClosed = true;
  const node = federation.start({ keyFile });
  await node.event("joined");
});

test("runFlowerNode() says what to do with a key that the server does not know", async () => {
  federation.server.isClosed = true;
  const keyFile = join(folder, "unknown.key");
  await assert.rejects(refused({ keyFile, timing: { ...FAST, heartbeat: 0.1 } }), {
    failure: "precondition",
    code: 2004,
    message:
      /412 \(code 2004\): "Failed to activate SuperNode\."; the server takes registered keys only: give \S+unknown\.key\.pub to flwr supernode register$/,
  });
});

test("runFlowerNode() waits for an earlier process of its node, and says what it may be when that goes on", async () => {
  const { server, start } = federation;
  const [first, copy] = [join(folder, "here.key"), join(folder, "elsewhere.key")];
  const running = start({ keyFile: first, timing: { heartbeat: 1800 } });
  const { nodeId } = await running.event("joined");
  await copyFile(first, copy);
  await assert.rejects(refused({ keyFile: copy, timing: { ...FAST, heartbeat: 0.1 } }), {
    code: 2004,
    message:
      /; another process is a node with the key \S+elsewhere\.key, or it was unregistered, after which no server takes it: name a new file$/,
  });
  // The other one is killed: no more signs of life.
  [...server.nodes.values()][0]!.onlineUntil = Date.now() + 300;
  const sent = server.send(nodeId + 1n);
  const next = start({ keyFile: copy });
  assert.match((await next.event("waiting")).for, /^the server to give up an earlier process of this node/);
  assert.deepEqual(await sent, { unavailable: true });
  assert.equal((await next.event("joined")).nodeId, nodeId);
});

test("runFlowerNode() names what isn't a SuperLink", async () => {
  const answers: [Fault, RegExp][] = [
    [
      { status: 404, body: "Not Found", type: "text/plain" },
      /404: "Not Found"; expected a SuperLink of Flower 1\.40 or newer there$/,
    ],
    [
      { status: 200, body: "<html>", type: "text/html" },
      /expected an answer of type application\/protobuf, got text\/html; is there a SuperLink\?$/,
    ],
    [
      { status: 200, body: "\u000f\u000f", type: "application/protobuf" },
      /its answer isn't the message that was expected$/,
    ],
    [
      { status: 200, body: "x".repeat(2 << 20), type: "application/protobuf" },
      /an answer of over 1048576 bytes$/,
    ],
    [{ status: 301, body: "" }, /it answered 301/],
    [{ status: 415, body: `{"code": 9, "message": "What?"}` }, /it answered 415 \(code 9\): "What\?"/],
  ];
  for (const [fault, message] of answers) {
    federation.server.fault = () => fault;
    await assert.rejects(refused(), { name: "SuperlinkError", failure: "refused", message });
  }
});

test("runFlowerNode() refuses addresses that are none, and other machines without TLS", async () => {
  for (
    const superlink of [
      "127.0.0.1:8000",
      "localhost:8000",
      "grpc://127.0.0.1",
      "",
      "http://user:word@127.0.0.1:1",
    ]
  ) {
    await assert.rejects(refused({ superlink }), {
      name: "TypeError",
      message:
        `Cannot join a federation: expected the address of a SuperLink, such as http://127.0.0.1:8000, got ${
          JSON.stringify(superlink)
        }`,
    });
  }
  await assert.rejects(refused({ superlink: "http://fleet.example:8000" }), {
    name: "TypeError",
    message:
      /expected https, as fleet\.example is another machine; without TLS, everybody on the way can read what is sent, which insecure allows$/,
  });
});

test("runFlowerNode() refuses times that aren't over 0", async () => {
  for (const poll of [0, -1, NaN]) {
    await assert.rejects(refused({ timing: { poll } }), {
      name: "RangeError",
      message: `Cannot join a federation: expected timing.poll over 0 s, got ${poll}`,
    });
  }
});

test("runFlowerNode() speaks TLS, with certificates of a file", async () => {
  const server = new MockSuperlink(LOOPBACK_CERTIFICATE);
  await server.start();
  try {
    const caFile = join(folder, "ca.pem");
    await writeFile(caFile, LOOPBACK_CERTIFICATE.cert);
    const node = federation.start({ superlink: server.url, caFile });
    assert.ok("records" in await server.send((await server.node()).nodeId, { records: twoArrays() }));
    await node.leave();
    await assert.rejects(refused({ superlink: server.url }), {
      failure: "refused",
      message:
        /self-signed certificate; name the file of the certificates that the server's follows from, or check that it speaks TLS$/,
    });
    await assert.rejects(refused({ superlink: federation.server.url.replace("http", "https") }), {
      failure: "refused",
      message: /check that it speaks TLS$/,
    });
    await assert.rejects(
      refused({ superlink: server.url.replace("https", "http"), timing: { ...FAST, patience: 0.1 } }),
    );
    await writeFile(caFile, LOOPBACK_CERTIFICATE.key);
    await assert.rejects(refused({ superlink: server.url, caFile }), {
      message: `Cannot read the certificates ${caFile}: expected PEM, got no certificate`,
    });
    await assert.rejects(refused({ superlink: server.url, caFile: join(folder, "none.pem") }), {
      message: /ENOENT/,
    });
  } finally {
    await server.stop();
  }
});

test("runFlowerNode() ends when the server no longer takes its signs of life", async () => {
  const { server } = federation;
  server.fault = (call) =>
    call === "send-node-heartbeat"
      ? { status: 400, body: `{"code": 2003, "detail": "Invalid heartbeat interval."}` }
      : undefined;
  await assert.rejects(refused({ timing: { ...FAST, heartbeat: 0.2 } }), {
    failure: "refused",
    code: 2003,
    message:
      /^Cannot send node heartbeat at \S+: it answered 400 \(code 2003\): "Invalid heartbeat interval\."$/,
  });
});
