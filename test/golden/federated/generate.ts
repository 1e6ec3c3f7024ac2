// Writes given.json: what federa begins with and the order of its batches, which generate.py takes from here.
//   node scripts/with_gpu.mjs test/golden/federated/generate.ts
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { openGpu } from "../../../src/engine/mod.ts";
import { planBatches } from "../../../src/tasks/mod.ts";
import {
  federatedBase,
  federatedData,
  federatedFolder,
  federatedMethods,
  federatedRun,
} from "../../support/golden_federation.ts";

using gpu = await openGpu();
const pretrained = await federatedBase(gpu);
const { clients } = federatedData();
const { rounds, seed, work, batchSize, rank, alpha } = federatedRun;

const initial: Record<string, number[]> = {};
for (const [name, { method }] of federatedMethods) {
  // FeDeRA begins with factors that follow from the weights, which generate.py finds by itself.
  if (name === "federa") continue;
  const { model } = await method.init(pretrained, { seed, numClients: clients.length });
  for (const [key, each] of model.namedParameters()) {
    if (!/\.lora[AB]$|^head\./.test(key)) continue;
    const values = [...await each.floats()];
    assert.deepEqual(initial[key] ?? values, values, `${name} begins with another ${key}`);
    initial[key] = values;
  }
}
const layers = Object.keys(initial).filter((name) => name.endsWith(".loraA")).map((name) =>
  name.slice(0, -".loraA".length)
);
const given = {
  options: { rank, alpha },
  methods: Object.fromEntries(
    [...federatedMethods].map((
      [name, { optimizer, learningRate }],
    ) => [name, { optimizer: optimizer.name, rate: learningRate }]),
  ),
  layers: Object.fromEntries(layers.map((layer) => [layer.replace(/^encoder\./, "bert."), layer])),
  head: { weight: "head.output.weight", bias: "head.output.bias" },
  initial,
  clients,
  batches: Array.from(
    { length: rounds },
    (_, i) =>
      clients.map((rows, client) => planBatches(rows, { work, batchSize, seed, round: i + 1, client })),
  ),
};
writeFileSync(`${federatedFolder}/given.json`, `${JSON.stringify(given)}\n`);
