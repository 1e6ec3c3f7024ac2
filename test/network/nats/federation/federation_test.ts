import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { testGpu } from "../../../engine/harness.ts";
import { disposeOwn, type RoundReport } from "../../../../src/fl/mod.ts";
import {
  host,
  join,
  names,
  simulated,
  simulation,
  tinyFederation,
} from "../../../support/nats_federation.ts";
import { type NatsServer, startNats, withoutNats } from "../../../support/nats_server.ts";

const skip = await withoutNats();
const gpu = await testGpu();
let server: NatsServer;
before(async () => {
  if (!skip) server = await startNats();
});
after(() => server?.stop());

for (
  const [label, method] of Object.entries({
    fedit: { method: "fedit" },
    federa: { method: "federa" },
    "federa-exact": { method: "federa-exact" },
    "scaffold over fedit": { method: "fedit", algorithm: "scaffold" },
    "flora, of ranks that differ": { method: "flora", ranks: [1, 2] },
  })
) {
  test(
    `hostFederation() with three participants over NATS gives the bits of simulate(): ${label}`,
    { skip },
    async () => {
      const federation = tinyFederation(gpu, method);
      const expected = await simulated(federation);
      const [hosted, ...joined] = await Promise.all([
        host(server.url, federation),
        ...[...names].reverse().map((name) => join(server.url, federation, { name })),
      ]);
      assert.deepEqual(hosted, expected);
      for (const { events, model } of joined) {
        // Where ranks differ, each has a model of its own.
        if (!("ranks" in method)) assert.deepEqual(model, hosted!.parameters);
        assert.deepEqual(events.flatMap((each) => each.type === "sent" ? [each.round] : []), [1, 2, 3]);
      }
    },
  );
}

test("hostFederation() sends what is larger than a message of the server in chunks", { skip }, async () => {
  await using small = await startNats({ config: "max_payload: 9216" });
  const federation = tinyFederation(gpu, { method: "full" }, {
    rounds: 1,
    codec: { name: "f16" },
  });
  const expected = await simulated(federation);
  const [hosted, ada] = await Promise.all([
    host(small.url, federation),
    ...names.map((name) => join(small.url, federation, { name })),
  ]);
  assert.deepEqual(hosted, expected);
  const sent = ada!.events.find((event) => event.type === "sent");
  assert.ok(sent?.type === "sent" && sent.traffic.bytesDown > 1024 && sent.bytesUp > 1024);
});

test(
  "local differential privacy is noise of the participants' own, which nobody can repeat",
  { skip },
  async () => {
    const privacy = { kind: "local-dp", clipNorm: 1, noiseMultiplier: 1, noise: "secret" };
    const federation = tinyFederation(gpu, { method: "ffa-lora", privacy }, { rounds: 1 });
    const outcomes = [];
    for (let run = 0; run < 2; run++) {
      const [hosted] = await Promise.all([
        host(server.url, federation),
        ...names.map((name) => join(server.url, federation, { name })),
      ]);
      outcomes.push(hosted);
    }
    const [first, second] = outcomes;
    // Δ/σ = 2: the Gaussian mechanism at δ = 1e-5.
    assert.ok(first!.reports[0]!.privacy!.epsilon > 9 && first!.reports[0]!.privacy!.epsilon < 12);
    assert.notDeepEqual(first!.parameters, second!.parameters);
  },
);

test("hostFederation() has participants score each model on test data of their own, if it asks for that", {
  skip,
}, async () => {
  const federation = tinyFederation(gpu, { method: "fedsa-lora" }, { clientScores: true, rounds: 2 });
  const tests = new Map([["ada", federation.dataOf("bob")], ["cyd", federation.dataOf("ada")]]);
  const testClients = names.map((name) => tests.get(name));
  const scores = (report: RoundReport) => [report.test, report.clients];
  const expected: unknown[] = [];
  for await (const event of simulation(federation, { testClients, evaluateEvery: 1 })) {
    if (event.type === "round") expected.push(scores(event.report));
    if (event.type === "finished") disposeOwn(event.model, federation.pretrained);
  }
  const found: unknown[] = [];
  await Promise.all([
    host(server.url, federation, {
      onEvent: (event) => event.type === "round" && found.push(scores(event.report)),
      evaluateEvery: 1,
    }),
    ...names.map((name) => join(server.url, federation, { name, test: tests.get(name) })),
  ]);
  assert.deepEqual(found, expected);
});

for (
  const [label, more] of Object.entries({
    "a robust rule": { aggregator: { name: "median" } },
    "a codec that loses bits, and a part of the clients": {
      codec: { name: "int8" as const },
      clientsPerRound: 2,
    },
  })
) {
  test(`hostFederation() gives the bits of simulate() with ${label}`, { skip }, async () => {
    const federation = tinyFederation(gpu, { method: "federa" }, more);
    const [hosted] = await Promise.all([
      host(server.url, federation),
      ...names.map((name) => join(server.url, federation, { name })),
    ]);
    assert.deepEqual(hosted, await simulated(federation));
  });
}

test("hostFederation() with differential privacy of the sum asks a Poisson sample and says what it cost", {
  skip,
}, async () => {
  const privacy = {
    kind: "dp-fedavg",
    sampling: "poisson",
    clipNorm: 1,
    epsilon: 8,
    delta: 1e-3,
    noise: "secret",
  };
  const federation = tinyFederation(gpu, { method: "ffa-lora", privacy }, {
    rounds: 4,
    clientsPerRound: 2,
    minimum: 2,
  });
  const [hosted] = await Promise.all([
    host(server.url, federation),
    ...names.map((name) => join(server.url, federation, { name })),
  ]);
  const epsilons = hosted.reports.map(({ privacy }) => privacy!.epsilon);
  assert.ok(
    epsilons.every((each, i) => each > (epsilons[i - 1] ?? 0)) && epsilons.at(-1)! <= 8,
    String(epsilons),
  );
  const asked = hosted.reports.map(({ participants }) => participants.length);
  assert.deepEqual(hosted.reports.map(({ lost }) => lost.length), [0, 0, 0, 0]);
  assert.ok(new Set(asked).size > 1, `the cohorts of a Poisson sample differ: ${asked}`);
});
