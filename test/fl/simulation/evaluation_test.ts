import assert from "node:assert/strict";
import { test } from "node:test";
import { tensor } from "../../../src/engine/mod.ts";
import {
  type ClientScores,
  hostStore,
  type RunState,
  scaffold,
  simulate,
  type SimulationEvent,
  type SimulationOptions,
} from "../../../src/fl/mod.ts";
import { disposeOwn } from "../../../src/fl/own_parameters.ts";
import { evaluateSimulation } from "../../../src/fl/simulation/evaluation.ts";
import { evaluate, type Evaluation, type TaskModel, type TaskSet } from "../../../src/tasks/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { methodOn } from "../../support/methods.ts";
import { randomClients, tinyClassifier, tinyTask } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const train = tinyTask({ size: 48, length: 4, seed: 1 });
const common = tinyTask({ size: 20, length: 4, seed: 2 });
const pretrained = tinyClassifier(gpu, { seed: 7 });
/** Twelve clients, so that the worst tenth is two of them. */
const numClients = 12;
/** Each one's own test rows; clients 3 and 7 have none. */
const testClients = Array.from(
  { length: numClients },
  (_, k) => k === 3 || k === 7 ? undefined : tinyTask({ size: 5 + k, length: 4, seed: 100 + k }),
);

const options: Omit<SimulationOptions, "method"> = {
  train,
  test: common,
  clients: randomClients(train.size, numClients, 1),
  rounds: 2,
  clientsPerRound: 4,
  blockSize: 3,
  work: { steps: 2 },
  batchSize: 4,
  optimizer: { name: "adamw" },
  learningRate: 0.3,
  seed: 1,
};

const make = (name: string) =>
  methodOn(name, { targets: ["encoder.inner", "encoder.outer"], rank: 2, alpha: 3 });

type Evaluated = Extract<SimulationEvent, { type: "initialized" | "round" }>;

async function run(changes: Partial<SimulationOptions>, see: (event: Evaluated) => Promise<void>) {
  const method = make("fedit");
  for await (const event of simulate(pretrained, { ...options, method, ...changes })) {
    if (event.type === "initialized" || event.type === "round") await see(event);
    if (event.type === "finished") disposeOwn(event.model, pretrained);
  }
}

/** A client's evaluation: the global values with what it keeps in their place. */
async function evaluateClient(
  model: TaskModel,
  { state, client, set }: {
    readonly state?: RunState | undefined;
    readonly client: number;
    readonly set: TaskSet;
  },
): Promise<Evaluation> {
  const kept = await state?.clients.load(client);
  const own = model.mapParameters((name, parameter) => {
    const value = kept?.get(name);
    return value === undefined ? parameter : tensor(gpu, value.data, { shape: value.shape });
  });
  const found = await evaluate(own, set);
  disposeOwn(own, model);
  return found;
}

/** Checks a spread against its definition. */
function assertSpread({ numClients, scores }: ClientScores, evaluations: readonly Evaluation[]) {
  assert.equal(numClients, evaluations.length);
  assert.deepEqual(Object.keys(scores).sort(), Object.keys(evaluations[0]!.scores).sort());
  for (const [name, { mean, worstDecile, deviation }] of Object.entries(scores)) {
    const values = evaluations.map(({ scores }) => scores[name]!).sort((a, b) => a - b);
    const wanted = values.reduce((sum, value) => sum + value) / values.length;
    const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length - wanted ** 2;
    const worst = values.length > 10 ? (values[0]! + values[1]!) / 2 : values[0]!;
    assert.ok(Math.abs(mean - wanted) < 1e-12, `${name}: ${mean}, ${wanted}`);
    assert.ok(Math.abs(worstDecile - worst) < 1e-12, `${name}: ${worstDecile}, ${worst}`);
    assert.ok(Math.abs(deviation ** 2 - variance) < 1e-12, `${name}: ${deviation}, ${variance}`);
  }
}

const evaluationOf = (event: Evaluated) => event.type === "round" ? event.report : event;
const stateOf = (event: Evaluated) => event.type === "round" ? event.state : undefined;

test("simulate() tests the global model on all clients' own rows, whoever took part", async () => {
  for (const method of [make("fedit"), scaffold(make("fedit"))]) {
    const optimizer = { name: "sgd" } as const;
    await run({ method, testClients, optimizer }, async (event) => {
      const found = evaluationOf(event);
      // What scaffold's clients keep are no parameters.
      assert.deepEqual(found.test, await evaluate(event.model, common));
      const wanted = [];
      for (const set of testClients) if (set) wanted.push(await evaluate(event.model, set));
      assertSpread(found.clients!, wanted);
    });
  }
});

test("simulate() tests each client's own model on its own rows, a newcomer's beginning with the global one", async () => {
  for (const name of ["fedsa-lora", "local"]) {
    const spreads: number[] = [];
    await run({ method: make(name), testClients }, async (event) => {
      const found = evaluationOf(event);
      const wanted: Evaluation[] = [];
      for (const [client, set] of testClients.entries()) {
        if (set) wanted.push(await evaluateClient(event.model, { state: stateOf(event), client, set }));
      }
      assertSpread(found.clients!, wanted);
      spreads.push(found.clients!.scores["accuracy"]!.deviation);
      if (event.type === "initialized") {
        assert.deepEqual(found.test, await evaluate(event.model, common));
        return;
      }
      assert.ok(event.state.clients.clients.length < numClients, "some have never taken part");
      const mean = (of: (each: Evaluation) => number) =>
        wanted.reduce((sum, each) => sum + of(each), 0) / wanted.length;
      assert.ok(Math.abs(found.test!.loss - mean(({ loss }) => loss)) < 1e-12);
      assert.ok(
        Math.abs(found.test!.scores["accuracy"]! - mean(({ scores }) => scores["accuracy"]!)) < 1e-12,
      );
      // The clients' models differ from the global one.
      const global = await evaluateClient(event.model, { client: 0, set: common });
      const owner = event.state.clients.clients[0]!;
      const own = await evaluateClient(event.model, { state: event.state, client: owner, set: common });
      assert.notEqual(own.loss, global.loss);
    });
    assert.equal(spreads.length, 3);
  }
});

test("simulate() tests clients' own models on the common test set where they have no rows of their own", async () => {
  for (const none of [undefined, options.clients.map(() => undefined)]) {
    await run({ method: make("local"), testClients: none }, async (event) => {
      const found = evaluationOf(event);
      if (event.type === "initialized") {
        assert.deepEqual(found.test, await evaluate(event.model, common));
        assert.equal(found.clients, undefined);
        return;
      }
      const { state } = event;
      const wanted = [];
      for (const client of state.clients.clients) {
        wanted.push(await evaluateClient(event.model, { state, client, set: common }));
      }
      assertSpread(found.clients!, wanted);
      const mean = wanted.reduce((sum, { loss }) => sum + loss, 0) / wanted.length;
      assert.ok(Math.abs(found.test!.loss - mean) < 1e-12, `${found.test!.loss}, ${mean}`);
    });
  }
});

test("simulate() tells the progress of evaluations in rows of all that is tested, and keeps evaluateEvery", async () => {
  const rows = testClients.reduce((sum, set) => sum + (set?.size ?? 0), 0);
  for (const [name, total] of [["fedit", common.size + rows], ["local", rows]] as const) {
    const told = new Map<number, number[]>();
    const evaluated: boolean[] = [];
    const all = { ...options, method: make(name), testClients, rounds: 3, evaluateEvery: 2 };
    for await (const event of simulate(pretrained, all)) {
      if (event.type === "progress" && event.phase === "evaluation") {
        const own = told.get(event.round) ?? [];
        told.set(event.round, [...own, event.done]);
        assert.equal(event.total, event.round === 0 ? common.size + rows : total, name);
      }
      if (event.type === "round") {
        const { test, clients } = event.report;
        assert.equal(test === null, clients === undefined);
        evaluated.push(test !== null);
      }
      if (event.type === "finished") disposeOwn(event.model, pretrained);
    }
    assert.deepEqual(evaluated, [false, true, true]);
    assert.deepEqual([...told.keys()], [0, 2, 3]);
    for (const [round, done] of told) {
      assert.deepEqual([...done].sort((a, b) => a - b), done);
      assert.equal(done.at(-1), round === 0 ? common.size + rows : total);
    }
  }
});

test("evaluateSimulation() frees the clients' own parameters, also when an evaluation fails", async () => {
  const head = new Map([...pretrained.namedParameters()].filter(([name]) => name.startsWith("head.")));
  const kept = new Map([...head].map(([name, { shape, size }]) => [
    name,
    { shape, data: new Float32Array(size).fill(NaN) },
  ]));
  const before = gpu.stats().liveBytes;
  await assert.rejects(
    evaluateSimulation(pretrained, {
      test: common,
      clients: hostStore(new Map([[2, kept]])),
      onProgress: () => {},
    }),
    { name: "NonFiniteError" },
  );
  assert.equal(gpu.stats().liveBytes, before);
});
