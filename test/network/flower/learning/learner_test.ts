import assert from "node:assert/strict";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { loadModel } from "../../../../src/experiment/model/load_model.ts";
import type { HostTensors } from "../../../../src/fl/mod.ts";
import { findRecord } from "../../../../src/network/mod.ts";
import { FlowerLearner, type FlowerLearnerOptions } from "../../../../src/network/flower/learning/learner.ts";
import type { RunStore, SavedRun } from "../../../../src/network/flower/learning/run_store.ts";
import { servedMethods } from "../../../../src/network/flower/learning/served_methods.ts";
import { testGpu } from "../../../engine/harness.ts";
import { PlainFlowerServer, type Settings } from "../../../support/plain_flower_server.ts";
import { silent } from "../../../support/silent_reporter.ts";
import {
  descent,
  examplesOfClient,
  largestDifference,
  parametersOf,
  runConfigOf,
  simulateTiny,
} from "../../../support/tiny_federation.ts";
import { tinyProject } from "../../../support/tiny_project.ts";

const gpu = await testGpu();
const rounds = 2;

const tiny = { rounds, steps: 2, numClients: 2, ...descent };

/** What a server tells nodes. */
function settingsOf(method: string, more: Settings = {}): Settings {
  const { labels: _, rounds, ...config } = runConfigOf({ ...tiny, method });
  const values = Object.entries({ ...config, rounds }).map(([name, value]) =>
    [name, typeof value === "number" && Number.isInteger(value) ? BigInt(value) : value] as const
  );
  return { federa: 1n, labels: ["ham", "spam"], ...Object.fromEntries(values), ...more };
}

/** Two nodes, one with four mails and one with eight. */
async function nodesOf(
  t: TestContext,
  folder: string,
  more: Partial<FlowerLearnerOptions> = {},
  stores: readonly RunStore[] = [],
): Promise<FlowerLearner[]> {
  const nodes = [0, 1].map(async (client) =>
    new FlowerLearner({
      gpu,
      openModel: (pooling) =>
        loadModel(gpu, {
          model: { source: join(folder, "bert"), pooling },
          precision: "f32",
        }, { reporter: silent }),
      examples: await examplesOfClient(folder, client, tiny),
      client,
      reporter: silent,
      store: stores[client],
      ...more,
    })
  );
  const opened = await Promise.all(nodes);
  t.after(() => opened.forEach((node) => node[Symbol.dispose]()));
  return opened;
}

for (const method of servedMethods) {
  test(`FlowerLearner.handle() trains ${method} to what simulate() comes to, from a server's averages`, async (t) => {
    const folder = await tinyProject(t);
    let found: HostTensors | undefined;
    const nodes = await nodesOf(t, folder, {
      async writeModel({ model }) {
        found = await parametersOf(model);
      },
    });
    const isCorrected = /exact|fedex/.test(method);
    const server = new PlainFlowerServer(nodes, settingsOf(method), isCorrected ? { scaling: 2 } : undefined);
    const hashes = await server.begin();
    assert.equal(new Set(hashes).size, 1);
    for (let round = 0; round < rounds; round++) await server.round();
    const [reply] = await server.score();
    const metrics = findRecord(reply!, "metrics")!.values;
    assert.deepEqual([...metrics.keys()].slice(0, 3), ["num-examples", "loss", "accuracy"]);
    const expected = await simulateTiny(gpu, folder, { ...tiny, method });
    // The last node's own model: what is shared must be the global one's.
    const shared = [...server.arrays.keys(), ...isCorrected ? [...expected.keys()] : []];
    const part = (values: HostTensors) => new Map(shared.map((name) => [name, values.get(name)!]));
    assert.ok(
      largestDifference(part(found!), part(expected)) <= 1e-6,
      `${largestDifference(part(found!), part(expected))}`,
    );
  });
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
  for (const method of ["fedit", "federa", "federa-exact"]) {
    const corrected = method === "federa-exact" ? { scaling: 2 } : undefined;
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
