import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type AdvertisedKeys,
  BOX_BYTES,
  decodeMessage,
  encodeMessage,
  type ForwardedShares,
  neighborGraph,
  ProtocolError,
  SecureClient,
  SecureServer,
  TooFewClientsError,
} from "../../../../src/fl/privacy/secure_aggregation/mod.ts";
import { runSecurely } from "../../../support/secure_run.ts";

const clients = [1, 2, 3, 4];
const holders = neighborGraph(clients, { shuffle: (ids) => ids });
const vector = Uint32Array.of(1, 2, 3);
const inputs = new Map(clients.map((id) => [id, vector] as const));

const open = () => {
  const server = new SecureServer({ holders, threshold: 3, length: 3 });
  const nodes = new Map([...server.open()].map(([id, setup]) => [id, new SecureClient(setup)]));
  return { server, nodes };
};
type Opened = ReturnType<typeof open>;

async function afterKeys({ server, nodes }: Opened) {
  for (const node of nodes.values()) server.addKeys(await node.advertiseKeys());
  return server.closeKeys();
}

async function afterShares(opened: Opened) {
  const directories = await afterKeys(opened);
  for (const [id, directory] of directories) {
    opened.server.addShares(await opened.nodes.get(id)!.shareKeys(directory));
  }
  return opened.server.closeShares();
}

async function afterVectors(opened: Opened, lost: readonly number[] = []) {
  const forwarded = await afterShares(opened);
  for (const [id, shares] of forwarded) {
    if (!lost.includes(id)) opened.server.addVector(await opened.nodes.get(id)!.mask(vector, shares));
  }
  return opened.server.closeVectors();
}

const protocol = (message: RegExp) => ({ name: "ProtocolError", message });

test("a client refuses to give both shares of a client, or any twice, or of one that it has none of, or below the threshold", async () => {
  const cases = [
    [
      { alive: [1, 2, 3, 4], dropped: [4] },
      protocol(/refuses to give both shares of client 4: together they would take/),
    ],
    [
      { alive: [2, 3, 4], dropped: [1] },
      protocol(/^Client 1 refuses to unmask: it is called lost, and isn't$/),
    ],
    [{ alive: [1, 2, 3, 9], dropped: [] }, protocol(/refuses to give a share of client 9: it has none/)],
    [{ alive: [1, 2, 2], dropped: [] }, protocol(/refuses to unmask: a client is asked for twice/)],
    [{ alive: [1, 2], dropped: [3, 4] }, {
      name: "TooFewClientsError",
      message: "Client 1 refuses to unmask: expected at least 3 clients, itself counted, got 2",
    }],
  ] as const;
  for (const [{ alive, dropped }, error] of cases) {
    const opened = open();
    const request = (await afterVectors(opened)).get(1)!;
    const node = opened.nodes.get(1)!;
    const meddled = { ...request, alive: Uint32Array.from(alive), dropped: Uint32Array.from(dropped) };
    assert.throws(() => node.unmask(meddled), error);
    // Nor what was asked for, after that.
    assert.throws(
      () => node.unmask(request),
      protocol(/^Client 1 refuses to unmask: it has been asked to before$/),
    );
  }
});

test("a client refuses a set-up under which half of the holders could be asked for the other secret", () => {
  const setup = {
    kind: "setup",
    session: "0".repeat(32),
    client: 1,
    holders: Uint32Array.of(1, 2, 3, 4),
  } as const;
  new SecureClient({ ...setup, threshold: 3 });
  for (const threshold of [0, 1, 2, 5, NaN]) {
    assert.throws(
      () => new SecureClient({ ...setup, threshold }),
      protocol(/^Client 1 refuses to take part: the threshold must be from 3 to 4, got /),
    );
  }
  for (const others of [[2, 3, 4], [1, 1, 2]]) {
    const holders = Uint32Array.from(others);
    assert.throws(
      () => new SecureClient({ ...setup, holders, threshold: 3 }),
      protocol(/refuses to take part/),
    );
  }
});

test("a client refuses a directory with a stranger, with equal keys, with other keys of its own, or with too few", async () => {
  const opened = open();
  const directory = (await afterKeys(opened)).get(1)!;
  const meddled = async (change: Partial<typeof directory>) => {
    const { server, nodes } = open();
    const own = (await nodes.get(1)!.advertiseKeys()) as AdvertisedKeys;
    const [setup] = [...server.open().values()];
    const mine = {
      ...directory,
      session: setup!.session,
      encryptionKeys: directory.encryptionKeys.slice(),
      maskKeys: directory.maskKeys.slice(),
    };
    mine.encryptionKeys.set(own.encryptionKey);
    mine.maskKeys.set(own.maskKey);
    return await nodes.get(1)!.shareKeys({ ...mine, ...change });
  };
  await meddled({});
  await assert.rejects(
    meddled({ clients: Uint32Array.of(1, 2, 3, 9) }),
    protocol(/client 9 isn't one of its holders/),
  );
  await assert.rejects(
    meddled({ clients: Uint32Array.of(1, 2, 2, 3) }),
    protocol(/two keys of each of different/),
  );
  await assert.rejects(meddled({ maskKeys: directory.maskKeys }), protocol(/other keys of it than it sent/));
  await assert.rejects(meddled({ maskKeys: new Uint8Array(128) }), protocol(/two keys are equal/));
  await assert.rejects(
    meddled({
      clients: Uint32Array.of(1, 2),
      encryptionKeys: directory.encryptionKeys.slice(0, 64),
      maskKeys: directory.maskKeys.slice(0, 64),
    }),
    TooFewClientsError,
  );
});

test("a client refuses a share that doesn't authenticate, whichever byte was changed, and one that was meant for another", async () => {
  const meddle =
    (change: (shares: ForwardedShares, others: ReadonlyMap<number, ForwardedShares>) => ForwardedShares) =>
    async () => {
      const opened = open();
      const all = await afterShares(opened);
      await opened.nodes.get(1)!.mask(vector, change(all.get(1)!, all));
    };
  await meddle((shares) => shares)();
  for (const byte of [0, 11, 12, 40, BOX_BYTES - 1, BOX_BYTES]) {
    await assert.rejects(
      meddle((shares) => {
        const boxes = shares.boxes.slice();
        boxes[byte]! ^= 4;
        return { ...shares, boxes };
      }),
      protocol(/^Client 1 refuses to take a share of client [23]: it doesn't authenticate/),
    );
  }
  // The box of 3 for 2 in place of that for 1; and the box of 2 for 1 called one of 3.
  await assert.rejects(
    meddle((shares, others) => {
      const boxes = shares.boxes.slice();
      boxes.set(others.get(2)!.boxes.slice(BOX_BYTES, 2 * BOX_BYTES), BOX_BYTES);
      return { ...shares, boxes };
    }),
    protocol(/share of client 3: it doesn't authenticate/),
  );
  await assert.rejects(
    meddle((shares) => ({
      ...shares,
      clients: Uint32Array.of(2, 3),
      boxes: Buffer.concat([shares.boxes.slice(0, BOX_BYTES), shares.boxes.slice(0, BOX_BYTES)]),
    })),
    protocol(/share of client 3: it doesn't authenticate/),
  );
  await assert.rejects(
    meddle((shares) => ({
      ...shares,
      clients: shares.clients.slice(0, 1),
      boxes: shares.boxes.slice(0, BOX_BYTES),
    })),
    {
      name: "TooFewClientsError",
      message: "Client 1 refuses to mask its vector: expected at least 3 clients, itself counted, got 2",
    },
  );
});

test("messages out of turn, twice, of strangers, of other sessions and misshapen ones are refused, and change nothing", async () => {
  const opened = open();
  const { server, nodes } = opened;
  await assert.rejects(
    nodes.get(1)!.shareKeys((await afterKeys(open())).get(1)!),
    protocol(/^Client 1 refuses to share keys: it must draw keys first$/),
  );
  const keys = await nodes.get(1)!.advertiseKeys();
  await assert.rejects(nodes.get(1)!.advertiseKeys(), protocol(/it has drawn them before/));
  assert.throws(
    () => server.addKeys({ ...keys, client: 9 }),
    protocol(/from client 9: that client isn't part/),
  );
  assert.throws(
    () => server.addKeys({ ...keys, session: "f".repeat(32) }),
    protocol(/it belongs to session f/),
  );
  assert.throws(
    () => server.addKeys({ ...keys, maskKey: new Uint8Array(31) }),
    protocol(/two keys of 32 bytes/),
  );
  server.addKeys(keys);
  assert.throws(() => server.addKeys(keys), protocol(/from client 1: that client has sent one before/));
  assert.throws(() => server.addKeys({ ...keys, client: 2 }), protocol(/a key of it is one of client 1/));
  for (const id of [2, 3, 4]) server.addKeys(await nodes.get(id)!.advertiseKeys());
  assert.throws(
    () => server.closeShares(),
    protocol(/^Cannot close the stage of shares: this is that of keys$/),
  );
  const directories = server.closeKeys();
  assert.throws(
    () => server.addKeys(keys),
    protocol(/it belongs to the stage of keys, and this is that of shares/),
  );
  const sealed = await nodes.get(1)!.shareKeys(directories.get(1)!);
  const short = { ...sealed, clients: sealed.clients.slice(1), boxes: sealed.boxes.slice(BOX_BYTES) };
  assert.throws(() => server.addShares(short), protocol(/a box of 94 bytes for each of clients 2, 3, 4/));
  server.addShares(sealed);
  for (const id of [2, 3, 4]) server.addShares(await nodes.get(id)!.shareKeys(directories.get(id)!));
  const forwarded = server.closeShares();
  const masked = await nodes.get(1)!.mask(vector, forwarded.get(1)!);
  assert.throws(
    () => server.addVector({ ...masked, vector: new Uint32Array(2) }),
    protocol(/expected a vector of 3 numbers, got 2/),
  );
  server.addVector(masked);
  assert.throws(() => server.addVector(masked), protocol(/has sent one before/));
  for (const id of [2, 3, 4]) server.addVector(await nodes.get(id)!.mask(vector, forwarded.get(id)!));
  const requests = server.closeVectors();
  for (const [id, request] of requests) {
    const shares = nodes.get(id)!.unmask(request);
    const fewer = { ...shares, alive: shares.alive.slice(1), seedShares: shares.seedShares.slice(33) };
    assert.throws(() => server.addSecrets(fewer), protocol(/expected the shares that it was asked for/));
    server.addSecrets(shares);
  }
  const { sum } = await server.finish();
  assert.deepEqual([...sum], [4, 8, 12]);
  await assert.rejects(server.finish(), protocol(/all stages are over$/));
});

test("a wrong share of a secret ends in an error by name, never in a wrong sum", async () => {
  for (
    const [field, what] of [["seedShares", "seed of client 1"], [
      "keyShares",
      "mask key of client 4",
    ]] as const
  ) {
    const lost = new Map([[4, "vector"]] as const);
    const meddle = <Message extends { readonly kind: string; readonly client: number }>(
      message: Message,
    ): Message => {
      if (message.kind !== "unmask-shares" || message.client !== 1) return message;
      const forged = Uint8Array.from((message as unknown as Record<string, Uint8Array>)[field]!);
      forged[5]! ^= 1;
      return { ...message, [field]: forged };
    };
    await assert.rejects(runSecurely({ inputs, holders, threshold: 3, lost, meddle }), {
      name: "ProtocolError",
      message: new RegExp(
        `^Cannot take the masks off the sum: shares of the ${what} don't give it back, so one of clients 1, 2, 3 or`,
      ),
    });
  }
});

test("decodeMessage() refuses what isn't a message, or lacks a part", async () => {
  const bytes = encodeMessage(await open().nodes.get(1)!.advertiseKeys());
  const message = decodeMessage(bytes);
  assert.equal(message.kind, "advertised-keys");
  const text = Buffer.from(bytes).toString("latin1");
  const meddled = (from: string, to: string) => Buffer.from(text.replace(from, to), "latin1");
  for (
    const [from, to, problem] of [
      ["advertised-keys", "advertised-kegs", /its kind must be one of setup, /],
      ["federa-secure", "federa-sicure", /its format must be federa-secure-aggregation/],
      ['"client":"1"', '"client":"x"', /its client must be a whole number, got x/],
      ["maskKey", "maskKeg", /its maskKey is missing or damaged/],
    ] as const
  ) {
    assert.throws(() => decodeMessage(meddled(from, to)), { name: "CorruptFileError", message: problem });
  }
  assert.throws(() => decodeMessage(bytes.slice(0, 20)), { name: "CorruptFileError" });
  assert.ok(new ProtocolError("") instanceof Error);
});
