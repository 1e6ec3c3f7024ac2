import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { test } from "node:test";
import { nkeys } from "@nats-io/nats-core";
import { connectNats } from "../../../src/network/nats/connection.ts";
import { readNatsFiles } from "../../../src/network/nats/connection_node.ts";
import { NatsError } from "../../../src/network/nats/errors.ts";
import { startNats, withoutNats } from "../../support/nats_server.ts";
import { temporaryFiles } from "../../support/temporary_files.ts";

const skip = await withoutNats();
const certificate = (name: string) => new URL(`../../support/tls/${name}.pem`, import.meta.url).pathname;
const pem = (name: string) => readFileSync(certificate(name), "utf8");

/** What a message through a server comes back as. */
async function echo(...[url, options]: Parameters<typeof connectNats>): Promise<string> {
  const connection = await connectNats(url, options);
  try {
    const subscription = connection.subscribe("echo", { max: 1 });
    connection.publish("echo", "here");
    for await (const message of subscription) return message.string();
    throw new Error("nothing came");
  } finally {
    await connection.close();
  }
}

test(
  "connectNats() talks to a server by TCP, and by a list of servers of which one is away",
  { skip },
  async () => {
    await using server = await startNats();
    assert.equal(await echo(server.url), "here");
    assert.equal(await echo(`127.0.0.1:${server.port}`), "here");
    assert.equal(await echo(`nats://127.0.0.1:1,${server.url}`), "here");
  },
);

test(
  "connectNats() is let in with a password or a token, also in the address, and says who isn't",
  { skip },
  async () => {
    const users = 'authorization { users: [{ user: "ann", password: "p@ss/1" }] }';
    await using server = await startNats({ config: users });
    const host = `127.0.0.1:${server.port}`;
    assert.equal(await echo(server.url, { user: "ann", password: "p@ss/1" }), "here");
    assert.equal(await echo(`nats://ann:p%40ss%2F1@${host}`), "here");
    await assert.rejects(
      echo(server.url, { user: "ann", password: "no" }),
      (error: Error) => error instanceof NatsError && error.message.includes(`${host}: it lets nobody in`),
    );
    await assert.rejects(
      echo(`nats://ann:secret@${host}`),
      (error: Error) => !error.message.includes("secret"),
    );
    await using tokens = await startNats({ config: 'authorization { token: "t0ken" }' });
    assert.equal(await echo(tokens.url, { token: "t0ken" }), "here");
    assert.equal(await echo(`nats://t0ken@127.0.0.1:${tokens.port}`), "here");
  },
);

test("connectNats() is let in with the seed of an nkey, read from a file", { skip }, async () => {
  const pair = nkeys.createUser();
  const seed = new TextDecoder().decode(pair.getSeed());
  await using server = await startNats({
    config: `authorization { users: [{ nkey: ${pair.getPublicKey()} }] }`,
  });
  const files = await temporaryFiles({ "worker.nk": `${seed}\n` });
  const options = await readNatsFiles({ nkey: await files.path("worker.nk") });
  assert.equal(await echo(server.url, options), "here");
  await assert.rejects(echo(server.url), /it lets nobody in/);
});

test(
  "connectNats() uses TLS with an authority of one's own and with a certificate of one's own",
  { skip },
  async () => {
    const own = { cert: certificate("server"), key: certificate("server.key") };
    await using server = await startNats({ tls: own });
    assert.equal(await echo(server.url, { tls: { ca: pem("ca") } }), "here");
    await assert.rejects(echo(server.url), /self-signed certificate|unable to verify|unable to get/);
    await using strict = await startNats({ tls: { ...own, ca: certificate("ca") } });
    const files = await readNatsFiles({
      tlsca: certificate("ca"),
      tlscert: certificate("client"),
      tlskey: certificate("client.key"),
    });
    assert.equal(await echo(strict.url, files), "here");
    await assert.rejects(echo(strict.url, { tls: { ca: pem("ca") }, timeoutSeconds: 0.5 }), NatsError);
    await assert.rejects(
      readNatsFiles({ tlscert: certificate("client") }),
      /expected both --tlscert and --tlskey/,
    );
  },
);

test("connectNats() reaches a server by WebSocket where the runtime has one", { skip }, async () => {
  await using server = await startNats({ websocket: true });
  if (globalThis.WebSocket === undefined) {
    await assert.rejects(echo(server.websocketUrl), /this runtime has no WebSocket; use nats:\/\//);
  } else assert.equal(await echo(server.websocketUrl), "here");
});

test(
  "connectNats() gives up in time and says why, where nobody listens or nobody answers",
  { skip },
  async () => {
    await assert.rejects(connectNats("nats://127.0.0.1:1"), /127\.0\.0\.1:1: .*refused.*check the address/i);
    const sockets: Socket[] = [];
    const mute = createServer((socket) => void sockets.push(socket));
    await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
    const { port } = mute.address() as { port: number };
    const before = Date.now();
    await assert.rejects(
      connectNats(`nats://127.0.0.1:${port}`, { timeoutSeconds: 0.5 }),
      /nobody answered within 0.5 s/,
    );
    assert(Date.now() - before < 5000);
    // The client leaves its end open.
    for (const socket of sockets) socket.destroy();
    mute.close();
    for (const url of ["http://127.0.0.1:1", "nats://", "nats://a,ws://b"]) {
      await assert.rejects(connectNats(url), /expected (nats:\/\/|one scheme)/, url);
    }
  },
);

test(
  "connectNats() connects again after the server was away, and gives up after a while",
  { skip },
  async () => {
    const server = await startNats();
    const lines: string[] = [];
    const connection = await connectNats(server.url, {
      onStatus: (line) => lines.push(line),
      reconnectSeconds: 20,
    });
    const received: string[] = [];
    connection.subscribe("after", { callback: (_, message) => void received.push(message.string()) });
    await connection.flush();
    await server.stop("SIGKILL");
    const again = await startNats({ port: server.port });
    try {
      const limit = Date.now() + 10_000;
      while (!lines.some((line) => line.startsWith("Connected")) && Date.now() < limit) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      connection.publish("after", "yes");
      await connection.flush();
      assert.deepEqual(received, ["yes"]);
      assert.match(
        lines.join("\n"),
        /Lost the connection to NATS at 127\.0\.0\.1:\d+; trying again\nConnected to NATS/,
      );
    } finally {
      await connection.close();
      await again.stop();
    }
    const gone = await startNats();
    const other = await connectNats(gone.url, { reconnectSeconds: 1 });
    await gone.stop("SIGKILL");
    await other.closed();
    assert(other.isClosed());
  },
);
