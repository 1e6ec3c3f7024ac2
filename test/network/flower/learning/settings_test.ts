import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ConfigValue } from "../../../../src/network/mod.ts";
import { RefusedRunError } from "../../../../src/network/mod.ts";
import { readSettings } from "../../../../src/network/flower/learning/settings.ts";

const given: Readonly<Record<string, ConfigValue>> = {
  federa: 1n,
  method: "federa",
  labels: ["no", "yes"],
  "local-epochs": 2n,
  "learning-rate": 1e-3,
  rounds: 3n,
  "num-clients": 2n,
};

function read(values: Readonly<Record<string, ConfigValue>>) {
  return readSettings({ type: "config", values: new Map(Object.entries(values)) });
}

test("readSettings() reads what a server says, with defaults as federa run has them", () => {
  const { identity, ...settings } = read({ ...given, rank: 4n, svd: "exact", "weight-decay": 0.01 });
  assert.deepEqual({ ...settings }, {
    method: "federa",
    options: { rank: 4, alpha: 8, svd: "exact" },
    task: "sequence-classification",
    labels: ["no", "yes"],
    pooling: undefined,
    maxLength: 64,
    work: { epochs: 2 },
    batchSize: 8,
    optimizer: { name: "adamw", weightDecay: 0.01 },
    learningRate: 1e-3,
    clipNorm: undefined,
    seed: 1,
    rounds: 3,
    numClients: 2,
    serverRound: undefined,
    lastRound: undefined,
    startBy: "nodes",
    baseHash: undefined,
    startHash: undefined,
    wantsStart: false,
    scores: undefined,
  });
  // What a message says of itself alone doesn't make it another run's; the order plays no part, nor do defaults that are said.
  const same = {
    "server-round": 2n,
    "learning-rate": 1e-4,
    scores: ["f1"],
    "weight-decay": 0.01,
    svd: "exact",
    rank: 4n,
  };
  assert.equal(
    read({ ...Object.fromEntries(Object.entries(given).reverse()), ...same, seed: 1n }).identity,
    identity,
  );
  assert.notEqual(read({ ...given, rank: 5n, svd: "exact", "weight-decay": 0.01 }).identity, identity);
});

test("readSettings() names each setting that is wrong", () => {
  const cases: [Readonly<Record<string, ConfigValue>>, RegExp][] = [
    [{ "local-steps": 2n }, /local-steps: expected local-steps or local-epochs, one of them/],
    [{ "batch-size": 0.5 }, /batch-size: /],
    [{ labels: [] }, /labels: /],
    [{ labels: "no,yes" }, /labels: /],
    [{ "base-hash": "abc" }, /base-hash: expected 64 hexadecimal digits/],
    [{ optimizer: "sgd", beta2: 0.9 }, /beta2 plays no part in sgd/],
    [{ "learning-rte": 1 }, /unknown key "learning-rte"; did you mean "learning-rate"\?/],
    [{ method: "fedbf", rank: 4n }, /unknown key "rank"/],
    [{ rank: Uint8Array.of(1) }, /rank: /],
  ];
  for (const [more, message] of cases) {
    assert.throws(() => read({ ...given, ...more }), { name: "RefusedRunError", message });
  }
  assert.throws(() => readSettings(undefined), /expected settings of version 1 \(federa = 1\), got none/);
});

test("readSettings() refuses whatever a hostile server says", () => {
  const value: fc.Arbitrary<ConfigValue> = fc.oneof(
    fc.double(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
    fc.string(),
    fc.boolean(),
    fc.uint8Array(),
    fc.array(fc.string()),
    fc.array(fc.double()),
    fc.array(fc.bigInt({ min: 0n, max: 9n })),
  );
  const names = [
    ...Object.keys(given),
    "rank",
    "alpha",
    "targets",
    "seed",
    "__proto__",
    "constructor",
    "server-round",
  ];
  const name = fc.oneof(fc.constantFrom(...names), fc.string());
  fc.assert(fc.property(fc.array(fc.tuple(name, value)), (values) => {
    try {
      readSettings({ type: "config", values: new Map([...Object.entries(given), ...values]) });
    } catch (error) {
      assert.ok(error instanceof RefusedRunError, String(error));
    }
  }));
});
