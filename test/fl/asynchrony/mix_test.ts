import assert from "node:assert/strict";
import { test } from "node:test";
import { asynchronySchema, createClock, type HostTensors, mix, sizesOf } from "../../../src/fl/mod.ts";

/** Clients 0, 1 and 2 with staleness 0, 1 and 3, of which s is 1, 1/√2 and 1/2. */
function flight(client: number, sent: readonly number[]) {
  const version = [3, 2, 0][client]!;
  return {
    client: { id: client, numExamples: 1 + client, lastRound: version + 1 },
    version,
    sent: named(sent),
  };
}

function named(values: readonly number[]): HostTensors {
  return new Map([["x", { shape: [values.length], data: new Float32Array(values) }]]);
}

function near(got: HostTensors, wanted: readonly number[]) {
  // One rounding of each input and one of the result, all below 4.
  for (const [i, value] of got.get("x")!.data.entries()) {
    assert.ok(Math.abs(value - wanted[i]!) < 1e-6, `${value}, expected ${wanted[i]}`);
  }
}

test("FedBuff adds the mean of changes, each weighted by its staleness and not by examples", () => {
  const flights = [flight(0, [0.6, 0]), flight(1, [0.9, 1]), flight(2, [1.2, -2])];
  // 0.6 + 0.9·0.70710678 + 1.2·0.5 = 1.83639610, and 0 + 0.70710678 − 1 = −0.29289322.
  near(mix(named([1, -2]), { version: 3, flights }, { kind: "fedbuff", rate: 1 }), [1.6121320, -2.0976311]);
  near(mix(named([1, -2]), { version: 3, flights }, { kind: "fedbuff", rate: 0.5 }), [1.3060660, -2.0488155]);
});

test("FedAsync mixes a client's values in by a share that falls with its staleness", () => {
  const next = (client: number) =>
    mix(named([1, -2]), { version: 3, flights: [flight(client, [2, 0])] }, { kind: "fedasync", rate: 0.6 });
  near(next(0), [1.6, -0.8]);
  near(next(1), [1.4242641, -1.1514719]);
  near(next(2), [1.3, -1.4]);
});

test("a clock counts steps and bytes of each client, and draws speeds by the seed where it is given one for all", () => {
  const { clock: defaults } = asynchronySchema.parse({ kind: "fedasync" });
  const each = createClock({ ...defaults, secondsPerStep: [2, 3], bytesPerSecond: [10, 100] }, {
    seed: 1,
    steps: [4, 5],
  });
  assert.deepEqual([0, 1].map((client) => each({ client, bytesDown: 20, bytesUp: 30 })), [13, 15.5]);
  const steps = new Array<number>(1001).fill(1);
  const secondsOf = (seed: number, speedSpread: number) => {
    const clock = createClock({ ...defaults, speedSpread, bytesPerSecond: 1 }, { seed, steps });
    return steps.map((_, client) => clock({ client, bytesDown: 0, bytesUp: 0 }));
  };
  assert.ok(secondsOf(1, 0).every((seconds) => seconds === 0.1));
  const logs = secondsOf(1, 0.5).map((seconds) => Math.log(seconds / 0.1)).sort((a, b) => a - b);
  // Five standard errors of a normal's median, 1.25·σ/√n, and of its deviation, σ/√2n.
  assert.ok(Math.abs(logs[500]!) < 0.1);
  const deviation = Math.sqrt(logs.reduce((sum, each) => sum + each ** 2, 0) / logs.length);
  assert.ok(Math.abs(deviation - 0.5) < 0.056, `${deviation}`);
  assert.deepEqual(secondsOf(1, 0.5), secondsOf(1, 0.5));
  assert.notDeepEqual(secondsOf(1, 0.5), secondsOf(2, 0.5));
  assert.throws(() => createClock({ ...defaults, bytesPerSecond: [1] }, { seed: 1, steps: [1, 1] }), {
    message: "Cannot set the clock: expected bytesPerSecond of 2 clients, got 1",
  });
});

test("the buffer must get full with the clients in flight, who must exist", () => {
  const sizes = (options: object, clientsPerRound?: number) =>
    sizesOf(asynchronySchema.parse(options), { numClients: 8, clientsPerRound });
  assert.deepEqual(sizes({ kind: "fedasync" }), { kind: "fedasync", inFlight: 8, bufferSize: 1, rate: 0.6 });
  assert.deepEqual(sizes({ kind: "fedbuff", bufferSize: 3 }, 4), {
    kind: "fedbuff",
    inFlight: 4,
    bufferSize: 3,
    rate: 1,
  });
  assert.throws(() => sizes({ kind: "fedbuff" }), /bufferSize 10: expected at most inFlight, 8,/);
  assert.throws(() => sizes({ kind: "fedasync", inFlight: 9 }), /inFlight 9: expected at most the 8 clients/);
});
