import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { openGpu } from "../../../src/engine/mod.ts";
import { readConfig } from "../../../src/experiment/config/parse_config.ts";
import { preparePartition } from "../../../src/experiment/partition/prepare_partition.ts";
import { prepareExperiment } from "../../../src/experiment/run/experiment.ts";
import { testGpu } from "../../engine/harness.ts";
import { silent } from "../../support/silent_reporter.ts";
import { tinyBert, tinyProject } from "../../support/tiny_project.ts";

const gpu = await testGpu();

/** The partition as the command makes it, and that of a run of the same configuration. */
async function both(t: TestContext, change: object, examples?: readonly object[]) {
  const folder = await tinyProject(t, { ...tinyBert, ...change });
  if (examples) {
    const lines = examples.map((each) => `${JSON.stringify(each)}\n`).join("");
    await writeFile(join(folder, "train.jsonl"), lines);
    await writeFile(join(folder, "test.jsonl"), lines);
  }
  const config = await readConfig(join(folder, "config.json"));
  let opened = 0;
  const progress = new Set<string>();
  const reporter = { ...silent, progress: (task: string) => progress.add(task) };
  const prepared = await preparePartition(config, {
    reporter,
    seed: config.seed,
    openGpu() {
      opened++;
      return openGpu();
    },
  });
  using experiment = await prepareExperiment(config, gpu, { reporter: silent });
  const { clients } = experiment;
  return { prepared, clients, opened, progress };
}

for (
  const partition of [
    { kind: "iid", numClients: 3 },
    { kind: "dirichlet", numClients: 3, alpha: 0.5, labelPermutation: true },
  ]
) {
  test(`preparePartition() shares examples out as a run does, without the model (${partition.kind})`, async (t) => {
    const { prepared, clients, opened } = await both(t, { partition });
    assert.deepEqual(prepared.partition.clients, clients);
    assert.equal(prepared.examples.length, 12);
    assert.equal(opened, 0);
  });
}

for (
  const partition of [
    { kind: "embedding-clusters", numClients: 3 },
    { kind: "dirichlet", numClients: 3, alpha: 0.5, by: { clusters: 2 } },
  ]
) {
  test(`preparePartition() embeds the texts for ${partition.kind} by clusters, and shares them out as a run does`, async (t) => {
    const { prepared, clients, opened, progress } = await both(t, { partition });
    assert.deepEqual(prepared.partition.clients, clients);
    assert.deepEqual(clients.flat().sort((a, b) => a - b), [...Array(12).keys()]);
    assert.equal(opened, 1);
    assert.ok(progress.has("embedding texts"));
  });
}

test("preparePartition() leaves out questions that leave no room for their contexts, as a run does", async (t) => {
  const examples = Array.from({ length: 8 }, (_, i) => ({
    id: `${i}`,
    question: i === 3 ? "win a free prize win a free prize" : "win",
    context: "paul in london",
    answers: { text: ["paul"], answer_start: [0] },
  }));
  const { prepared, clients } = await both(t, {
    task: "question-answering",
    data: { kind: "files", train: "train.jsonl", test: "test.jsonl", validationShare: 0 },
    partition: { kind: "linear", numClients: 3 },
  }, examples);
  assert.equal(prepared.examples.length, 7);
  assert.deepEqual(prepared.partition.clients.map(({ length }) => length), [1, 2, 4]);
  assert.deepEqual(prepared.partition.clients, clients);
});

test("prepareExperiment() refuses more clusters than there are different texts, and leaves nothing on the device", async (t) => {
  const same = Array.from(
    { length: 12 },
    (_, i) => ({ text: i % 2 ? "win" : "prize", label: i % 3 ? "ham" : "spam" }),
  );
  const folder = await tinyProject(t, {
    ...tinyBert,
    partition: { kind: "embedding-clusters", numClients: 3 },
  });
  await writeFile(join(folder, "train.jsonl"), same.map((each) => `${JSON.stringify(each)}\n`).join(""));
  const config = await readConfig(join(folder, "config.json"));
  const live = gpu.stats().liveBytes;
  await assert.rejects(prepareExperiment(config, gpu, { reporter: silent }), {
    name: "RangeError",
    message: "Cannot cluster: expected at least 3 different points, as many as clusters, got 2",
  });
  assert.equal(gpu.stats().liveBytes, live);
});

for (
  const [change, message] of [
    [
      { partition: { kind: "embedding-clusters", numClients: 13 } },
      "Cannot partition (embedding-clusters): 13 clients need at least 1 example each, got 12",
    ],
    [
      { partition: { kind: "dirichlet", numClients: 2, alpha: 1, by: { clusters: 13 } } },
      "Cannot partition (dirichlet): 13 clusters need at least 1 example each, got 12",
    ],
    [
      { partition: { kind: "embedding-clusters", numClients: 3 }, clientsPerRound: 4 },
      "Cannot sample 4 clients a round: there are 3; lower clientsPerRound",
    ],
  ] as const
) {
  test(`prepareExperiment() says before the weights are loaded: ${message}`, async (t) => {
    const folder = await tinyProject(t, { ...tinyBert, ...change });
    await rm(join(folder, "bert", "model.safetensors"));
    const config = await readConfig(join(folder, "config.json"));
    await assert.rejects(prepareExperiment(config, gpu, { reporter: silent }), {
      name: "ConfigError",
      message,
    });
  });
}

test("prepareExperiment() tests clients on the clusters that they train on", async (t) => {
  const folder = await tinyProject(t, {
    ...tinyBert,
    clientScores: true,
    partition: { kind: "embedding-clusters", numClients: 2 },
  });
  // Classes that have nothing to do with what the texts are about.
  const lines = Array.from(
    { length: 12 },
    (_, i) =>
      JSON.stringify({ text: i % 2 ? "win a free prize" : "paul in london", label: i % 3 ? "ham" : "spam" }),
  );
  await writeFile(join(folder, "train.jsonl"), lines.join("\n"));
  await writeFile(join(folder, "test.jsonl"), lines.slice(0, 7).join("\n"));
  const config = await readConfig(join(folder, "config.json"));
  using experiment = await prepareExperiment(config, gpu, { reporter: silent });
  const { clients, testClients } = experiment;
  assert.deepEqual(clients.toSorted(([a], [b]) => a! - b!), [[0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]]);
  // Four of the first text are tested, three of the second; all rows of a client are of one text.
  assert.deepEqual(testClients!.map((set) => set!.size).sort(), [3, 4]);
  for (const set of testClients!) {
    const { data } = set!.inputs["inputIds"]!;
    for (let i = 0; i < data.length; i++) assert.equal(data[i], data[i % set!.length]);
  }
});
