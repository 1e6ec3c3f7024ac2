import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { decodePayload, f32Codec, type HostTensors } from "../../../../src/fl/mod.ts";
import { encodeSafetensors } from "../../../../src/models/mod.ts";
import {
  FederationError,
  type HostEvent,
  memoryStore,
  type ParticipantNews,
} from "../../../../src/network/nats/federation/mod.ts";
import { testGpu } from "../../../engine/harness.ts";
import { host, join, Odd, simulated, tinyFederation } from "../../../support/nats_federation.ts";
import { type NatsServer, startNats, withoutNats } from "../../../support/nats_server.ts";

const skip = await withoutNats();
const gpu = await testGpu();
let server: NatsServer;
before(async () => {
  if (!skip) server = await startNats();
});
after(() => server?.stop());

/** Collects how clients were lost. */
function losses(): { readonly lost: string[]; readonly onEvent: (event: HostEvent) => void } {
  const lost: string[] = [];
  return {
    lost,
    onEvent(event) {
      if (event.type === "client-lost") lost.push(`${event.lost.phase}: ${event.lost.reason}`);
    },
  };
}

test("hostFederation() goes on without participants that send garbage, and names each with its reason", {
  skip,
}, async () => {
  const federation = tinyFederation(gpu, { method: "fedit" }, { rounds: 6 });
  const { lost, onEvent } = losses();
  const mapped = (
    good: HostTensors,
    change: (name: string, data: Float32Array) => [string, number[], Float32Array],
  ) =>
    new Map([...good].map(([name, { shape, data }]) => {
      const [to, own, values] = change(name, data);
      return [to, { dtype: "F32" as const, shape: own.length === 0 ? shape : own, data: values }];
    }));
  const metadata = { codec: "f32" };
  /** By the round: what is sent for a download, and with which other words. */
  const garbage: ((good: HostTensors) => [Uint8Array<ArrayBuffer>, Record<string, unknown>?])[] = [
    () => [new Uint8Array([1, 2, 3])],
    (good) => [encodeSafetensors(mapped(good, (name, data) => [name, [data.length], data]), metadata)],
    (good) => [encodeSafetensors(mapped(good, (name, data) => [name, [], data.map(() => NaN)]), metadata)],
    (good) => [encodeSafetensors(mapped(good, (name, data) => [`${name}s`, [], data]), metadata)],
    (good) => [f32Codec.encode(good), { loss: 1e300 }],
    () => [new Uint8Array(1 << 20)],
  ];
  const answers: string[] = [];
  const odd = async () => {
    const mallory = await Odd.join(server.url, federation, "mal");
    for (let call = await mallory.call(); call !== undefined; call = await mallory.call()) {
      const { token, link } = mallory;
      const { chunk } = await link.ask("fetch", { token, sha256: call.download.sha256, index: 0 });
      const [payload, words] = garbage[call.round - 1]!(decodePayload(chunk));
      answers.push((await mallory.send(call.round, payload, words)).type);
    }
  };
  const [outcome] = await Promise.all([
    host(server.url, federation, { onEvent }),
    join(server.url, federation, { name: "ada" }),
    join(server.url, federation, { name: "bob" }),
    odd(),
  ]);
  // A loss isn't checked beyond being a number.
  assert.deepEqual(outcome.reports.map(({ participants }) => participants.length), [2, 2, 2, 2, 3, 2]);
  assert.deepEqual(answers, ["received", "received", "received", "received", "received", "refused"]);
  const [short, shape, nan, name, size] = lost;
  assert.match(short!, /^upload: mal: Cannot read safetensors: the file must hold at least 8 bytes, got 3$/);
  assert.match(
    shape!,
    /^upload: mal: Cannot decode a payload: expected \[2, 6\] as "encoder\.inner\.loraA", got \[12\]$/,
  );
  assert.match(
    nan!,
    /^upload: mal: Cannot decode a payload: "encoder\.inner\.loraA" holds NaN at element 0$/,
  );
  assert.match(name!, /^upload: mal: Cannot decode a payload: .*loraAs?/);
  assert.match(size!, /^upload: mal: Cannot take a payload of 1048576 bytes: expected at most \d+$/);
});

test(
  "hostFederation() goes on without a participant that falls silent or leaves, and ends when too few are left",
  { skip },
  async () => {
    const federation = tinyFederation(gpu, { method: "fedit" }, { silenceSeconds: 1, rounds: 4 });
    const { lost, onEvent } = losses();
    const news: string[] = [];
    const [outcome, ada] = await Promise.allSettled([
      host(server.url, federation, {
        onEvent,
        onNews: (each) => news.push(each.type),
        gatherSeconds: 2,
      }),
      join(server.url, federation, { name: "ada" }),
      join(server.url, federation, {
        name: "bob",
        async onEvent(event, connection) {
          if (event.type === "round" && event.round === 2) await connection.close();
        },
      }),
      Odd.join(server.url, federation, "sam").then((sam) => sam.connection.close()),
    ]);
    assert.equal(lost.length, 3);
    for (const each of [lost[0]!, lost[2]!]) {
      assert.match(each, /^download: sam: it hasn't been heard of for \d+ s$/);
    }
    assert.match(lost[1]!, /^(download|training): bob: it hasn't been heard of for \d+ s$/);
    assert.ok(outcome.status === "rejected" && outcome.reason instanceof FederationError);
    assert.match(
      outcome.reason.message,
      /^Cannot play round 3: waited 2 s, and 1 of at least 2 participants are there; start those that are missing, and resume$/,
    );
    assert.ok(ada.status === "fulfilled");
    const end = ada.value.events.at(-1)!;
    assert.ok(end.type === "ended" && !end.isFinished);
    assert.match(end.reason, /^its host has failed: Cannot play round 3/);
    assert.deepEqual(news.filter((each) => each === "participant-joined").length, 3);
  },
);

test(
  "joinFederation() goes on after a kill with what it had stored, to the same bits",
  { skip },
  async () => {
    const federation = tinyFederation(gpu, { method: "fedit", algorithm: "scaffold" });
    const expected = await simulated(federation);
    for (const moment of ["round", "sent"] as const) {
      const store = memoryStore();
      const bob = async () => {
        const killed = join(server.url, federation, {
          name: "bob",
          store,
          async onEvent(event, connection) {
            if (event.type === moment && event.round === 2) await connection.close();
          },
        });
        await assert.rejects(
          killed,
          /Cannot reach the host of federation tiny: the connection to the NATS server is closed/,
        );
        return await join(server.url, federation, { name: "bob", store });
      };
      const news: ParticipantNews[] = [];
      const [hosted, , back] = await Promise.all([
        host(server.url, federation, { onNews: (each) => news.push(each) }),
        join(server.url, federation, { name: "ada" }),
        bob(),
        join(server.url, federation, { name: "cyd" }),
      ]);
      assert.deepEqual(hosted, expected, moment);
      assert.deepEqual(back.events[0], { type: "joined", isBack: true });
      assert.deepEqual(back.model, hosted.parameters);
    }
  },
);

test(
  "joinFederation() leaves at once when its signal is aborted, and the round goes on",
  { skip },
  async () => {
    const federation = tinyFederation(gpu, { method: "fedit" }, { rounds: 2 });
    const { lost, onEvent } = losses();
    const left = new AbortController();
    const [outcome, , , cyd] = await Promise.allSettled([
      host(server.url, federation, { onEvent }),
      join(server.url, federation, { name: "ada" }),
      join(server.url, federation, { name: "bob" }),
      join(server.url, federation, {
        name: "cyd",
        signal: left.signal,
        onEvent: (event) => event.type === "round" ? left.abort(new Error("the page was closed")) : undefined,
      }),
    ]);
    assert.ok(outcome.status === "fulfilled");
    assert.deepEqual(outcome.value.reports.map(({ participants }) => participants), [[0, 1], [0, 1]]);
    assert.match(lost[0]!, /^(download|training): cyd: it left$/);
    assert.match(lost[1]!, /^download: cyd: it left$/);
    assert.ok(cyd.status === "rejected" && (cyd.reason as Error).message === "the page was closed");
  },
);
