import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostTensors } from "../../../../src/fl/mod.ts";
import { findRecord, type RunStore, type SavedRun } from "../../../../src/network/mod.ts";
import { checkServed, nodesOf, settingsOf, tinyTraining } from "../../../support/flower_learners.ts";
import { PlainFlowerServer, type Settings } from "../../../support/plain_flower_server.ts";
import { largestDifference, parametersOf } from "../../../support/tiny_federation.ts";
import { tinyProject } from "../../../support/tiny_project.ts";

const { rounds } = tinyTraining;

// The others are in served_methods_long_test.ts.
for (const method of ["fedit", "federa", "fedsa-lora", "federa-exact"]) {
  test(`FlowerLearner.handle() trains ${method} to what simulate() comes to, from a server's averages`, (t) =>
    checkServed(t, method));
}

/** A store in memory, as a folder is on disk. */
function memoryStore(): RunStore {
  const runs = new Map<bigint, SavedRun>();
  return {
    read: (runId) => Promise.resolve(runs.get(runId)),
    write: async (runId, saved) => void runs.set(runId, saved),
  };
}

for (const method of ["federa-exact", "fedsa-lora"] as const) {
  test(`FlowerLearner.handle() goes on with ${method} to the same bits after its process ended`, async (t) => {
    const folder = await tinyProject(t);
    const corrected = method === "federa-exact" ? { scaling: 2 } : undefined;
    const finals: HostTensors[] = [];
    const scores: unknown[] = [];
    for (const isKilled of [false, true]) {
      const stores = [memoryStore(), memoryStore()];
      const nodes = await nodesOf(t, folder, {}, stores);
      const server = new PlainFlowerServer(nodes, settingsOf(method), corrected);
      await server.begin();
      await server.round();
      if (isKilled) server.nodes = await nodesOf(t, folder, {}, stores);
      await server.round();
      const replies = await server.score();
      finals.push(server.arrays);
      scores.push(replies.map((reply) => [...findRecord(reply, "metrics")!.values]));
    }
    assert.equal(largestDifference(finals[0]!, finals[1]!), 0);
    assert.deepEqual(scores[0], scores[1]);
  });
}

test("FlowerLearner.handle() takes back a round whose reply was lost", async (t) => {
  const folder = await tinyProject(t);
  const finals: HostTensors[] = [];
  for (const isLost of [false, true]) {
    const nodes = await nodesOf(t, folder);
    const server = new PlainFlowerServer(nodes, settingsOf("federa-exact"), { scaling: 2 });
    await server.begin();
    await server.round();
    // The server never hears of it: it asks for the round again, and counts the node's last as before.
    if (isLost) await server.lose(1);
    await server.round();
    finals.push(server.arrays);
  }
  assert.equal(largestDifference(finals[0]!, finals[1]!), 0);
});

test("FlowerLearner.handle() brings a node that has missed rounds to the others' weights", async (t) => {
  const folder = await tinyProject(t);
  const models: HostTensors[] = [];
  const nodes = await nodesOf(t, folder, {
    writeModel: async ({ model }) => void models.push(await parametersOf(model)),
  });
  const server = new PlainFlowerServer(nodes, settingsOf("federa-exact", { rounds: 4n }), { scaling: 2 });
  await server.begin();
  await server.round([0, 1]);
  await server.round([0]);
  await server.round([0]);
  await server.round([0, 1]);
  await server.score();
  assert.equal(models.length, 2);
  assert.ok(
    largestDifference(models[0]!, models[1]!) <= 1e-6,
    `${largestDifference(models[0]!, models[1]!)}`,
  );
});

test("FlowerLearner.handle() starts from the server's factors as from its own", async (t) => {
  const folder = await tinyProject(t);
  for (const method of ["fedex-lora", "federa", "federa-exact"]) {
    const corrected = method !== "federa" ? { scaling: 2 } : undefined;
    const asked = new PlainFlowerServer(await nodesOf(t, folder), settingsOf(method), corrected);
    const [hash] = await asked.begin();
    const start = asked.arrays;
    const given = new PlainFlowerServer(
      await nodesOf(t, folder),
      settingsOf(method, { "start-by": "server" }),
      corrected,
    );
    assert.deepEqual(await given.begin(start), [hash, hash]);
    // Of its own making: nothing of it follows from the nodes' seed.
    const other = new PlainFlowerServer(
      await nodesOf(t, folder),
      settingsOf(method, { "start-by": "server" }),
      corrected,
    );
    const [otherHash, sameHash] = await other.begin(
      new Map([...start].map(([name, { shape, data }]) => [name, { shape, data: data.map((x) => x / 2) }])),
    );
    assert.equal(otherHash, sameHash);
    assert.notEqual(otherHash, hash);
    await other.round();
    for (const server of [asked, given]) for (let round = 0; round < rounds; round++) await server.round();
    assert.equal(largestDifference(asked.arrays, given.arrays), 0, method);
  }
});

test("FlowerLearner.handle() refuses, saying what to do, and says nothing of its data", async (t) => {
  const folder = await tinyProject(t);
  const [node] = await nodesOf(t, folder);
  const server = new PlainFlowerServer([node!], settingsOf("federa"));
  await server.begin();
  const { arrays } = server;
  const [name, first] = [...arrays][0]!;
  const without = new Map([...arrays].slice(1));
  const train = (more: Settings, sent: HostTensors = arrays) =>
    server.ask(node!, "train", { settings: { "server-round": 1n, ...more }, arrays: sent });
  const cases: [() => Promise<unknown>, RegExp][] = [
    [() => train({ rank: 3n }), /Cannot go on in this run: the server changed rank/],
    [() => train({ rnak: 3n }), /unknown key "rnak"; did you mean "rank"\?/],
    [() => train({ "learning-rate": -1 }), /learning-rate: /],
    [() => train({ method: "flora" }), /method: .*"flora"/],
    [() => train({ federa: 2n }), /expected settings of version 1 .*, got 2/],
    [() => train({ seed: 2n ** 60n }), /expected seed up to 2\^53 - 1/],
    [() => train({ beta1: 0.8 }), /beta1 plays no part in sgd/],
    [
      () => train({ "start-hash": "0".repeat(64) }),
      /client 0: this node's start is \w{12}…, not 000000000000…/,
    ],
    [
      () => train({ "base-hash": "0".repeat(64) }),
      /this node's base model is \w{12}….*give all the same weights/,
    ],
    [() => train({}, without), new RegExp(`${name} of shape .* is missing`)],
    [
      () => train({}, new Map([...arrays, ["lora_A", first]])),
      /array lora_A: this model has no such parameter/,
    ],
    [
      () => train({}, new Map([...arrays, [name, { shape: [1, 1], data: new Float32Array(1) }]])),
      /expected shape \[2, 12\], got \[1, 1\]/,
    ],
    [
      () => train({}, new Map([...arrays, [name, { ...first, data: first.data.map(() => NaN) }]])),
      /it holds NaN at element 0, expected finite numbers/,
    ],
    [() => train({ "num-clients": 0n }), /num-clients: /],
    [
      () => server.ask(node!, "evaluate", { settings: { "server-round": 1n, scores: ["bleu"] }, arrays }),
      /score bleu/,
    ],
    [() => server.ask(node!, "train", { settings: {}, arrays }), /lacks server-round/],
    [() => server.ask(node!, "system", { settings: {} }), /message of type system/],
  ];
  for (const [ask, message] of cases) await assert.rejects(ask, { message });
  // And trains all the same.
  await server.round();

  const other = new PlainFlowerServer([node!], settingsOf("federa", { labels: ["ham", "phishing"] }));
  other.runId = 8n;
  await assert.rejects(() => other.begin(), (error: Error) => {
    assert.match(error.message, /client 0: ConfigError; what it says stays with the node/);
    assert.doesNotMatch(error.message, /spam|train\.jsonl/);
    return true;
  });
});
