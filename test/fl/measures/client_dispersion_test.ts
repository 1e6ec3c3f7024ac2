import assert from "node:assert/strict";
import { test } from "node:test";
import { tensor } from "../../../src/engine/mod.ts";
import { adaptersOf } from "../../../src/federa/mod.ts";
import { clientDispersion } from "../../../src/fl/measures/client_dispersion.ts";
import type { MeasuredPlan } from "../../../src/fl/measures/measure.ts";
import type { Client, Uploads } from "../../../src/fl/mod.ts";
import type { TaskModel } from "../../../src/tasks/mod.ts";
import { holds, testGpu, upload } from "../../engine/harness.ts";
import { matmul } from "../../reference/matmul.ts";
import {
  adaptedLayer,
  clientsFrom,
  type Factors,
  type Federation,
  federation,
  federationCases,
  subtract,
  updates,
} from "../../support/federation.ts";
import { tinyClassifier } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();

async function measure(
  model: TaskModel,
  uploads: Iterable<Uploads>,
  plan: MeasuredPlan = {},
): Promise<number | null> {
  const live = gpu.stats().liveBytes;
  const measure = clientDispersion();
  measure.begin(model, plan);
  for (const each of uploads) {
    measure.add(each);
    for (const value of [...each.values.values(), each.weights]) value.dispose();
  }
  const { clientCosine } = await measure.end(model);
  measure.dispose();
  assert.ok(gpu.stats().liveBytes <= live, "bytes alive afterwards");
  return clientCosine!;
}

/** The mean over pairs of vectors of their cosine. */
function meanCosine(changes: readonly (readonly number[])[]): number {
  const cosines = changes.flatMap((x, i) =>
    changes.slice(0, i).map((y) => {
      const product = x.reduce((sum, value, j) => sum + value * y[j]!, 0);
      return product / (Math.hypot(...x) * Math.hypot(...y));
    })
  );
  return cosines.reduce((a, b) => a + b, 0) / cosines.length;
}

const changesOf = ({ start, clients }: Federation) =>
  clients.map(({ a, b }) => [...subtract(matmul(b, a), matmul(start.b, start.a)).data]);

const cases = federationCases.map((each) => ({
  ...each,
  shape: each.seed % 2 === 0 ? [29, 31] as const : [5, 7] as const,
  counts: each.counts.length === 1 ? [1, 2] : each.counts,
}));

test("clientDispersion() is the mean cosine of pairs that float64 finds, however little clients move", async () => {
  await holds(cases, async (each) => {
    const federated = await federation(gpu, each);
    const found = await measure(federated.model, updates(gpu, federated, each));
    const expected = meanCosine(changesOf(federated));
    // Lengths and sums are within some roundings, Σ ‖bⱼ‖·‖aⱼ‖ being at most a few times the change here.
    assert.ok(Math.abs(found! - expected) <= 1e-5, `${found} for ${expected}`);
  }, 40);
});

test("clientDispersion() is the same to the bit however clients are grouped, and nearly so in another order", async () => {
  await holds(cases, async (each) => {
    const federated = await federation(gpu, each);
    const found = await measure(federated.model, updates(gpu, federated, each));
    assert.equal(await measure(federated.model, updates(gpu, federated, { ...each, blockSize: 1 })), found);
    const reversed = { ...federated, clients: [...federated.clients].reverse() };
    const other = await measure(federated.model, updates(gpu, reversed, each));
    assert.ok(Math.abs(other! - found!) <= 2e-6, `${other} for ${found}`);
  }, 15);
});

test("clientDispersion() is 1 of equal clients, and null of one", async () => {
  const each = { counts: [1, 5, 2], rank: 3, scale: 1e-3, trained: "both", blockSize: 2, seed: 4 } as const;
  const federated = await federation(gpu, each);
  const equal = { ...federated, clients: each.counts.map(() => federated.clients[0]!) };
  const found = await measure(federated.model, updates(gpu, equal, each));
  assert.ok(Math.abs(found! - 1) <= 2e-6, `${found}`);
  const alone = { ...federated, clients: federated.clients.slice(0, 1), shares: [1] };
  assert.equal(await measure(federated.model, updates(gpu, alone, each)), null);
});

/** Values by name of clients whose parameters are given one by one. */
function uploads(
  values: Readonly<Record<string, { shape: number[]; clients: number[][] }>>,
): Uploads {
  const entries = Object.entries(values).map(([name, { shape, clients }]) =>
    [name, tensor(gpu, clients.flat(), { shape: [clients.length, ...shape] })] as const
  );
  const count = Object.values(values)[0]!.clients.length;
  const shares = new Array<number>(count).fill(1 / count);
  return { clients: clientsFrom(0, count), values: new Map(entries), shares, weights: tensor(gpu, shares) };
}

test("clientDispersion() leaves out clients that didn't move, and the head", async () => {
  const plain = tinyClassifier(gpu, { width: 2, inner: 2 });
  const bias = [...await plain.namedParameters()].find(([name]) => name === "encoder.inner.bias")![1];
  const [x, y] = await bias.floats() as unknown as [number, number];
  const head = [...plain.namedParameters()].find(([name]) => name.startsWith("head."))!;
  const heads = {
    shape: [...head[1].shape],
    clients: [1, 2, 3, 4].map((v) => new Array(head[1].size).fill(v)),
  };
  // Changes of (1, 0), (0, 2), (0, 0) and (3, 3): cosines of 0, √½ and √½.
  const found = await measure(plain, [uploads({
    "encoder.inner.bias": { shape: [2], clients: [[x + 1, y], [x, y + 2], [x, y], [x + 3, y + 3]] },
    [head[0]]: heads,
  })]);
  assert.ok(Math.abs(found! - 2 * Math.SQRT1_2 / 3) <= 1e-6, `${found}`);
  assert.equal(await measure(plain, [uploads({ [head[0]]: heads })]), null);
});

test("clientDispersion() takes several layers and parameters of a client together", async () => {
  const each = { counts: [1, 1, 1], rank: 2, scale: 1, trained: "both", blockSize: 3, seed: 6 } as const;
  const federated = await federation(gpu, each);
  const { model } = federated;
  const outer = [...model.namedParameters()].find(([name]) => name === "encoder.outer.weight")![1];
  const start = [...await outer.floats()];
  const shifts = [[0.5, -1], [2, 0.25], [-1, -1]];
  const clients = shifts.map(([p, q]) =>
    start.map((value, i) => Math.fround(value + (i % 2 === 0 ? p! : q!)))
  );
  const values = new Map([...updates(gpu, federated, each)][0]!.values);
  values.set("encoder.outer.weight", tensor(gpu, clients.flat(), { shape: [3, ...outer.shape] }));
  const found = await measure(model, [{
    clients: clientsFrom(0, 3),
    values,
    shares: [],
    weights: tensor(gpu, [1, 1, 1]),
  }]);
  const scaling = adaptersOf(model).get(adaptedLayer)!.sharedScaling;
  const expected = meanCosine(
    changesOf(federated).map((change, k) => [
      ...change.map((value) => scaling * value),
      ...clients[k]!.map((value, i) => value - start[i]!),
    ]),
  );
  assert.ok(Math.abs(found! - expected) <= 1e-5, `${found} for ${expected}`);
});

test("clientDispersion() counts each client's change from where it started, by its own scale", async () => {
  const each = { counts: [3, 4, 9], rank: 3, scale: 0.1, trained: "both", blockSize: 2, seed: 3 } as const;
  const federated = await federation(gpu, each);
  const { model, start } = federated;
  // Clients of rank 1, 2 and 3 start from as many of the global terms; the scales are alpha/r_k, alpha = 9.
  const cut = ({ a, b }: Factors, k: number) => ({
    a: a.map((value, i) => i < (k + 1) * 7 ? value : 0),
    b: b.map((value, i) => i % 3 <= k ? value : 0),
  });
  const clients = federated.clients.map(cut);
  const plan = {
    ranks: { of: (client: number) => client + 1, scaling: (client: number) => 9 / (client + 1) },
    start: ({ id }: Client) => {
      const { a, b } = cut(start, id);
      return new Map([[`${adaptedLayer}.loraA`, upload(gpu, a)], [`${adaptedLayer}.loraB`, upload(gpu, b)]]);
    },
  };
  const found = await measure(model, updates(gpu, { ...federated, clients }, each), plan);
  const changes = clients.map(({ a, b }, k) => {
    const from = cut(start, k);
    return [...subtract(matmul(b, a), matmul(from.b, from.a)).data].map((value) => 9 / (k + 1) * value);
  });
  assert.ok(Math.abs(found! - meanCosine(changes)) <= 1e-5, `${found} for ${meanCosine(changes)}`);
});
