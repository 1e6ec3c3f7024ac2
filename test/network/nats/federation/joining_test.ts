import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { deferred } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import {
  FederationError,
  hostFederation,
  joinFederation,
  memoryStore,
  readInvitation,
  RefusedError,
} from "../../../../src/network/nats/federation/mod.ts";
import { participantSubjects } from "../../../../src/network/nats/federation/subjects.ts";
import { testGpu } from "../../../engine/harness.ts";
import { host, join, names, Odd, tinyFederation } from "../../../support/nats_federation.ts";
import { type NatsServer, startNats, withoutNats } from "../../../support/nats_server.ts";
import { tinyClassifier } from "../../../support/tiny_encoder.ts";

const skip = await withoutNats();
const gpu = await testGpu();
let server: NatsServer;
before(async () => {
  if (!skip) server = await startNats();
});
after(() => server?.stop());

test("hostFederation() refuses whom it can't take, and says why", { skip }, async () => {
  // Bob says nothing while others are refused, however slow the machine is.
  const federation = tinyFederation(gpu, { method: "fedit" }, { rounds: 1, silenceSeconds: 300 });
  const refused: string[] = [];
  const store = memoryStore();
  const adaJoined = deferred<void>();
  const begun = Promise.all([
    host(server.url, federation, {
      onNews: (each) => each.type === "participant-refused" && refused.push(each.name),
    }),
    join(server.url, federation, {
      name: "ada",
      store,
      onEvent: (event) => event.type === "joined" ? adaJoined.resolve() : undefined,
    }),
  ]);
  await adaJoined;
  const bob = await Odd.join(server.url, federation, "bob");
  const other = tinyFederation(gpu, { method: "fedit" });
  const reasonOf = (words: { type: string; reason?: string }) =>
    words.type === "refused" ? words.reason : words.type;
  assert.equal(
    reasonOf(await bob.ask({ token: "0".repeat(64) })),
    "another participant has joined as bob: take another name",
  );
  assert.match(
    reasonOf(await bob.ask({ base: "0".repeat(64) }))!,
    /^its model has other weights than the host's, tiny: expected the fingerprint [0-9a-f]{12}…, got 000000000000…$/,
  );
  assert.equal(
    reasonOf(await bob.ask({ numExamples: 5 })),
    "it joined with 4 examples, and comes back with 5: give it the data that it had",
  );
  assert.match(reasonOf(await bob.ask({ numExamples: -1 }))!, /numExamples: expected at least 1, got -1$/);
  assert.match(reasonOf(await bob.ask({ evil: true }))!, /evil/);
  // Other weights are refused by the fingerprint that the participant computes itself.
  const connection = await connect({ servers: server.url });
  const invitation = await readInvitation({ connection, federation: "tiny", name: "eve" });
  const base = { connection, invitation, name: "eve", train: federation.dataOf("ada") };
  const first = async (pretrained = federation.pretrained, more = {}) => {
    for await (const event of joinFederation(pretrained, { ...base, ...more })) {
      // A busy machine may make the host slow to answer.
      if (event.type !== "waiting") return event;
    }
    return undefined;
  };
  await assert.rejects(
    first(tinyClassifier(gpu, { seed: 8, attention: true })),
    (error) =>
      error instanceof RefusedError &&
      /^Cannot join federation tiny as eve: its model has other weights/.test(error.message),
  );
  await assert.rejects(first(tinyClassifier(gpu, { seed: 7, attention: true, classes: 2 })), {
    name: "TypeError",
    message:
      "Cannot join federation tiny with a model for sequence-classification of class 0, class 1: expected sequence-classification of " +
      "class 0, class 1, class 2",
  });
  await assert.rejects(first(undefined, { limits: { steps: 1 } }), {
    name: "FederationError",
    message: "Cannot join federation tiny: it asks for 2 steps a round, and 1 are allowed",
  });
  await assert.rejects(first(undefined, { name: "e v e" }), {
    name: "RangeError",
    message:
      'Cannot join a federation with name "e v e": expected 1 to 64 letters, digits, - and _, the first a letter or digit',
  });
  await assert.rejects(first(undefined, { name: "eve", store }), {
    name: "CorruptFileError",
    message:
      "Cannot join federation tiny as eve with the state of ada in federation tiny: give each participant a state of its own",
  });
  // The third: it begins, and takes nobody else.
  const cyd = join(server.url, other, { name: "cyd" });
  assert.equal((await bob.call())?.round, 1);
  await assert.rejects(first(), {
    name: "RefusedError",
    message:
      "Cannot join federation tiny as eve: the federation has begun without it: it can join the next one",
  });
  await bob.link.tell("leave", { token: bob.token }, 1000);
  await bob.connection.close();
  await Promise.all([begun, cyd]);
  assert.ok(refused.includes("eve"));
  await connection.close();
});

test(
  "hostFederation() refuses to be the second host of a federation, and one that too few join",
  { skip },
  async () => {
    const federation = tinyFederation(gpu, { method: "fedit" });
    const [first, second] = await Promise.all([
      connect({ servers: server.url }),
      connect({ servers: server.url }),
    ]);
    const events = hostFederation(federation.pretrained, {
      connection: first,
      settings: federation.settings,
      gatherSeconds: 0.5,
    });
    assert.equal((await events.next()).value?.type, "gathering");
    const other = hostFederation(federation.pretrained, {
      connection: second,
      settings: federation.settings,
    });
    await assert.rejects(other.next(), {
      name: "FederationError",
      message:
        "Cannot host federation tiny: it has a host already on this server; give it another name, or end that host",
    });
    await assert.rejects(events.next(), {
      name: "FederationError",
      message:
        "Cannot begin federation tiny: waited 0.5 s, and 0 of 3 participants have joined; start those that are missing, or host it for fewer",
    });
    await Promise.all([first.close(), second.close()]);
  },
);

test("readInvitation() says what it waited for where no host answers", { skip }, async () => {
  const connection = await connect({ servers: server.url });
  const reached: boolean[] = [];
  await assert.rejects(
    readInvitation({
      connection,
      federation: "nobody",
      name: "ada",
      patienceSeconds: 0.3,
      onReach: (isReached) => reached.push(isReached),
    }),
    (error) =>
      error instanceof FederationError &&
      /^Cannot reach the host of federation nobody: waited \d+ s for an answer; check that it runs/.test(
        error.message,
      ),
  );
  assert.deepEqual(reached, [false]);
  await connection.close();
});

test(
  "a host answers nobody but whom a request's subject names, and nothing that isn't a message",
  { skip },
  async () => {
    const federation = tinyFederation(gpu, { method: "fedit" }, { rounds: 1 });
    const running = Promise.all([
      host(server.url, federation),
      ...names.slice(0, 2).map((name) => join(server.url, federation, { name })),
    ]);
    const cyd = await Odd.join(server.url, federation, "cyd");
    const heard: string[] = [];
    cyd.connection.subscribe("federa.federation.tiny.to.ada.trick", {
      callback: (_, { data }) => void heard.push(String(data)),
    });
    const { request } = participantSubjects("tiny", "cyd");
    cyd.connection.publish(request("invitation"), JSON.stringify({ protocol: 1 }), {
      reply: "federa.federation.tiny.to.ada.trick",
    });
    for (
      const [message, expected] of [
        ["", "Cannot read a message from cyd: it isn't JSON"],
        ["{", "Cannot read a message from cyd: it isn't JSON"],
        [new Uint8Array([0xff, 0xfe]), "Cannot read a message from cyd: it isn't JSON"],
        ["[]", "Cannot read a message from cyd: expected an object, got []"],
        [JSON.stringify({ token: cyd.token, x: 1 }), /x/],
        ["[".repeat(600_000), "Cannot read a message from cyd: expected at most 524288 bytes, got 600000"],
      ] as const
    ) {
      const reply = `federa.federation.tiny.to.cyd.${crypto.randomUUID()}`;
      const answer = await cyd.connection.request(request("leave"), message, {
        timeout: 2000,
        noMux: true,
        reply,
      });
      const words = answer.json<{ type: string; code: string; reason: string }>();
      assert.deepEqual([words.type, words.code], ["refused", "broken"]);
      if (typeof expected === "string") assert.equal(words.reason, expected);
      else assert.match(words.reason, expected);
    }
    const { words } = await cyd.link.ask("next", { token: "1".repeat(64) });
    assert.deepEqual(words, {
      type: "refused",
      code: "unknown",
      reason: "nobody has joined as cyd with this secret",
    });
    await cyd.link.tell("leave", { token: cyd.token }, 1000);
    await cyd.connection.close();
    await running;
    assert.deepEqual(heard, []);
  },
);

test(
  "hostFederation() refuses what participants elsewhere can't do, or what would protect nobody",
  { skip },
  async () => {
    const connection = await connect({ servers: server.url });
    for (
      const [method, more, message] of [
        [{ method: "central" }, {}, /it trains on the data of all in one place/],
        [
          { method: "fedit", privacy: { kind: "local-dp", clipNorm: 1, noiseMultiplier: 1 } },
          {},
          /noise that follows from the seed protects nobody/,
        ],
        [
          { method: "fedit" },
          { clientsPerRound: 4 },
          /each round is to ask 4 of 3 participants; lower clientsPerRound/,
        ],
        [
          { method: "fedit" },
          { minimum: 4 },
          /a round is to count with 4 uploads, and asks 3 participants; lower minimum/,
        ],
        [{ method: "flora" }, { aggregator: { name: "median" } }, /Cannot run flora with median/],
      ] as const
    ) {
      const federation = tinyFederation(gpu, method, more);
      await assert.rejects(
        hostFederation(federation.pretrained, { connection, settings: federation.settings }).next(),
        { message },
      );
    }
    await connection.close();
  },
);
