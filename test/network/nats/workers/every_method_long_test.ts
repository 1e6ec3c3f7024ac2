import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { algorithms, methods } from "../../../../src/fl/mod.ts";
import { readConfig } from "../../../../src/experiment/config/parse_config.ts";
import { prepare } from "../../../../src/experiment/run/prepare.ts";
import { runExperiment } from "../../../../src/experiment/run/run_experiment.ts";
import { Coordinator } from "../../../../src/network/nats/workers/coordinator/coordinator.ts";
import { kindOf } from "../../../../src/network/nats/workers/bits_node.ts";
import { trainersOn } from "../../../../src/network/nats/workers/coordinator/trainers_node.ts";
import { work } from "../../../../src/network/nats/workers/worker/worker_node.ts";
import { openGpu } from "../../../../src/engine/mod.ts";
import { testGpu } from "../../../engine/harness.ts";
import { startNats, withoutNats } from "../../../support/nats_server.ts";
import { resultsIn } from "../../../support/run_results.ts";
import { silent } from "../../../support/silent_reporter.ts";
import { temporaryFolder } from "../../../support/temporary_files.ts";
import { tinyBert, tinyProject } from "../../../support/tiny_project.ts";

const skip = await withoutNats();
const gpu = await testGpu();
const common = { ...tinyBert, blockSize: 2, rounds: 2, optimizer: { name: "sgd" }, clientModels: true };
const tiny = { learningRate: 0.01, rank: 2, blockSize: 2, share: 0.4, heads: 2 };
const fedit = { method: "fedit", learningRate: 0.01, rank: 2 };

/** A method with those of the tiny options that it has. */
function entryOf(name: string): object {
  const { shape } = methods.get(name)!.definition.options;
  const own = Object.entries(tiny).filter(([key]) => key === "learningRate" || key in shape);
  return { method: name, ...Object.fromEntries(own) };
}

const cases: Readonly<Record<string, object>> = {
  "every method": { ...common, methods: [...methods.keys()].map(entryOf) },
  "every algorithm": {
    ...common,
    methods: [...algorithms.keys()].map((algorithm) => ({ ...fedit, algorithm })),
  },
  "asynchrony, secure aggregation, private clients and robust rules": {
    ...common,
    measures: [],
    methods: [
      { ...fedit, label: "fedbuff", asynchrony: { kind: "fedbuff", bufferSize: 2 } },
      { ...fedit, label: "fedasync", asynchrony: { kind: "fedasync" } },
      { ...fedit, label: "secure", secureAggregation: {} },
      {
        ...fedit,
        label: "private",
        privacy: { kind: "dp-fedavg", clipNorm: 0.1, noiseMultiplier: 1, delta: 1e-5 },
      },
      { ...fedit, label: "median", aggregator: "median" },
    ],
  },
  "a sampled cohort, states on disk, a lossy codec and whole numbers of 8 bits": {
    ...common,
    partition: { kind: "iid", numClients: 5 },
    clientsPerRound: 3,
    clientState: "disk",
    blockSize: "auto",
    precision: "int8",
    codec: { name: "topk", share: 0.25 },
    methods: [{ ...fedit, algorithm: "scaffold" }, { ...fedit, method: "federa" }],
  },
};

for (const [name, config] of Object.entries(cases)) {
  test(`${name}: a worker comes to the bits of one process`, { skip }, async (t) => {
    const project = await tinyProject(t, config);
    const play = async (place: string, coordinator?: Coordinator) => {
      const folder = join(project, place);
      await mkdir(folder);
      const preparation = await prepare(await readConfig(join(project, "config.json")), gpu, {
        reporter: silent,
      });
      const trainers = coordinator && trainersOn(coordinator);
      const { runs } = await runExperiment(preparation, { reporter: silent, folder, trainers });
      for (const { label, status, error } of runs) assert.equal(status, "finished", `${label}: ${error}`);
      return await resultsIn(folder);
    };
    const expected = await play("alone");
    await using server = await startNats();
    const coordinator = await Coordinator.open(server.url, { kind: kindOf(gpu), waitSeconds: 30 });
    using own = await openGpu();
    const working = work(own, server.url, { once: true, cache: temporaryFolder() });
    const found = await play("together", coordinator);
    for (const [file, content] of Object.entries(expected)) assert.deepEqual(found[file], content, file);
    assert.deepEqual(Object.keys(found), Object.keys(expected));
    await coordinator.close();
    await working;
  });
}
