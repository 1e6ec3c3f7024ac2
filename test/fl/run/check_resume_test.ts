import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeRunState,
  encodeRunState,
  fedAdam,
  fedAvgM,
  fedDyn,
  fedIt,
  hostStore,
  type Method,
  type RunState,
  scaffold,
  simulate,
  type SimulationOptions,
} from "../../../src/fl/mod.ts";
import { disposeOwn } from "../../../src/fl/own_parameters.ts";
import { disposeTree } from "../../../src/fl/tree.ts";
import { bitsOf, testGpu } from "../../engine/harness.ts";
import { methodNames, methodOn } from "../../support/methods.ts";
import { randomClients, tinyClassifier, tinyTask } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const train = tinyTask({ size: 24, length: 4, seed: 1 });
const pretrained = tinyClassifier(gpu, { seed: 7, attention: true });
const adapters = { targets: ["encoder.inner", "encoder.outer"], rank: 2, alpha: 3 };
const defaults: Omit<SimulationOptions, "method"> = {
  train,
  test: train,
  evaluateEvery: 0,
  clients: randomClients(train.size, 4, 1),
  clientsPerRound: 2,
  rounds: 3,
  blockSize: 2,
  work: { steps: 1 },
  batchSize: 4,
  optimizer: { name: "sgd" },
  learningRate: 0.1,
  seed: 1,
};

/** The bytes of a run's state after two of its rounds. */
async function stateOf(method: Method): Promise<Uint8Array> {
  for await (const event of simulate(pretrained, { ...defaults, method })) {
    if (event.type === "round" && event.report.round === 2) return await encodeRunState(event.state);
  }
  throw new Error("unreachable");
}

/** Goes on from a state; gives the bits of the model in the end. */
async function resume(method: Method, state: RunState, changes: Partial<SimulationOptions> = {}) {
  for await (const event of simulate(pretrained, { ...defaults, method, resume: state, ...changes })) {
    if (event.type !== "finished") continue;
    const bits = [];
    for (const [, each] of event.model.namedParameters()) bits.push(bitsOf(await each.floats()));
    disposeOwn(event.model, pretrained);
    return bits;
  }
  throw new Error("unreachable");
}

test("simulate() goes on from a state of the same run, with every method", async () => {
  const before = gpu.stats().liveBytes;
  const all = [
    ...methodNames.map((name) => methodOn(name, adapters)),
    methodOn("hetlora", { ...adapters, gamma: 0.5 }),
    scaffold(fedIt(adapters)),
    fedDyn(fedIt(adapters)),
    fedAdam(fedIt(adapters)),
  ];
  for (const method of all.filter(({ isCentral }) => !isCentral)) {
    await resume(method, decodeRunState(gpu, await stateOf(method)).state);
    assert.equal(gpu.stats().liveBytes, before, method.name);
  }
});

test("simulate() refuses by name a state of another method, of other options or of other clients", async () => {
  const before = gpu.stats().liveBytes;
  const fedit = fedIt(adapters);
  const cases: {
    from?: Method;
    to?: Method;
    changes?: Partial<SimulationOptions>;
    alter?: (state: RunState) => RunState;
    error: RegExp;
  }[] = [
    { to: fedIt({ ...adapters, rank: 3 }), error: /inner\.loraA must have shape \[3, 6\], got \[2, 6\]$/ },
    {
      from: fedIt({ ...adapters, targets: ["encoder.inner"] }),
      error: /it has no encoder\.outer\.lora[AB], which is trained$/,
    },
    {
      to: fedIt({ ...adapters, targets: ["encoder.inner"] }),
      error: /global has encoder\.outer\.lora[AB], which this run doesn't know$/,
    },
    { to: methodOn("fedbf", {}), error: /global has .*lora[AB], which this run doesn't know$/ },
    { from: methodOn("fedbf", {}), error: /global has .*bias, which this run doesn't know$/ },
    { to: fedAvgM(fedit), error: /Cannot resume fedavgm\(fedit\): .*; it lacks inner$/ },
    { from: fedAvgM(fedit), error: /Cannot resume fedit: .*; it lacks global$/ },
    { from: fedAvgM(fedit), to: fedAdam(fedit), error: /moments lacks m$/ },
    { to: methodOn("federa-exact", adapters), error: /it lacks trained$/ },
    { alter: (state) => ({ ...state, method: [] }), error: /it must be an object, got a list$/ },
    {
      changes: { clients: randomClients(train.size, 5, 1) },
      error: /the state is of 4 clients, and there are 5$/,
    },
    { changes: { rounds: 1 }, error: /the state is of round 2, and 1 are asked for$/ },
    {
      alter: (state) => ({ ...state, lastRounds: [0, 3, 1, 0] }),
      error: /client 1 last took part in round 3 of 2 rounds$/,
    },
    {
      alter: (state) => ({ ...state, lastRounds: [0, 1, -1, 0] }),
      error: /client 2 last took part in round -1 of 2 rounds$/,
    },
    {
      alter: (state) => ({ ...state, clients: hostStore(new Map([[4, new Map()]])) }),
      error: /the state holds what client 4 keeps, and there are 4$/,
    },
  ];
  const states = new Map<Method, Uint8Array>();
  for (const { from = fedit, to = fedit, changes = {}, alter, error } of cases) {
    if (!states.has(from)) states.set(from, await stateOf(from));
    const { state } = decodeRunState(gpu, states.get(from)!);
    const given = alter?.(state) ?? state;
    await assert.rejects(resume(to, given, changes), error);
    // What the altered state has left out is the test's own.
    if (alter !== undefined) disposeTree(state.method);
    assert.equal(gpu.stats().liveBytes, before, String(error));
  }
});

test("simulate() refuses what a client has kept in another size, instead of filling it up", async () => {
  const before = gpu.stats().liveBytes;
  const method = methodOn("fedsa-lora", adapters);
  const { state } = decodeRunState(gpu, await stateOf(method));
  const short = { shape: [2], data: new Float32Array(2) };
  const clients = hostStore(
    new Map([0, 1, 2, 3].map((id) => [id, new Map([["encoder.inner.loraB", short]])])),
  );
  await assert.rejects(resume(method, { ...state, clients }), {
    name: "RangeError",
    message: "Cannot use encoder.inner.loraB that a client has kept: expected 10 values, got 2",
  });
  assert.equal(gpu.stats().liveBytes, before);
});
