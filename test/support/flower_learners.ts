import assert from "node:assert/strict";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { loadModel } from "../../src/experiment/model/load_model.ts";
import type { HostTensors } from "../../src/fl/mod.ts";
import {
  findRecord,
  FlowerLearner,
  type FlowerLearnerOptions,
  type RunStore,
} from "../../src/network/mod.ts";
import { testGpu } from "../engine/harness.ts";
import { PlainFlowerServer, type Settings } from "./plain_flower_server.ts";
import { silent } from "./silent_reporter.ts";
import {
  descent,
  examplesOfClient,
  largestDifference,
  parametersOf,
  runConfigOf,
  simulateTiny,
  type TinyFederation,
} from "./tiny_federation.ts";
import { tinyProject } from "./tiny_project.ts";

const gpu = await testGpu();
const rounds = 2;

/** How the federation trains, beside its method. */
export const tinyTraining: Omit<TinyFederation, "method"> = { rounds, steps: 2, numClients: 2, ...descent };

/** What a server tells nodes. */
export function settingsOf(method: string, more: Settings = {}): Settings {
  const { labels: _, rounds, ...config } = runConfigOf({ ...tinyTraining, method });
  const values = Object.entries({ ...config, rounds }).map(([name, value]) =>
    [name, typeof value === "number" && Number.isInteger(value) ? BigInt(value) : value] as const
  );
  return { federa: 1n, labels: ["ham", "spam"], ...Object.fromEntries(values), ...more };
}

/** Two nodes, one with four mails and one with eight. */
export async function nodesOf(
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
      examples: await examplesOfClient(folder, client, tinyTraining),
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

/** Two nodes train by a server's averages, and come to what `simulate()` does. */
export async function checkServed(t: TestContext, method: string): Promise<void> {
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
  const expected = await simulateTiny(gpu, folder, { ...tinyTraining, method });
  // The last node's own model: what is shared must be the global one's.
  const shared = [...server.arrays.keys(), ...isCorrected ? [...expected.keys()] : []];
  const part = (values: HostTensors) => new Map(shared.map((name) => [name, values.get(name)!]));
  assert.ok(
    largestDifference(part(found!), part(expected)) <= 1e-6,
    `${largestDifference(part(found!), part(expected))}`,
  );
}
