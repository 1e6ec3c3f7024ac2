import assert from "node:assert/strict";
import { test } from "node:test";
import { add, keep, reshape, tensor, tidy } from "../../../src/engine/mod.ts";
import {
  type Asynchrony,
  codecConfig,
  createCodec,
  decodeRunState,
  encodeRunState,
  fedAdam,
  federate,
  measures,
  median,
  type Method,
  type Outcome,
  type Participants,
  type RoundReport,
  type RunState,
  simulate,
  type SimulationOptions,
} from "../../../src/fl/mod.ts";
import { disposeOwn } from "../../../src/fl/own_parameters.ts";
import type { TaskModel } from "../../../src/tasks/mod.ts";
import { bitsOf, testGpu } from "../../engine/harness.ts";
import { methodOn } from "../../support/methods.ts";
import { tinyClassifier, tinyTask } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const train = tinyTask({ size: 24, length: 4, seed: 1 });
const pretrained = tinyClassifier(gpu, { seed: 7 });
/** Four examples each, so that weights by client are weights by examples. */
const clients = Array.from({ length: 6 }, (_, k) => Array.from({ length: 4 }, (_, i) => 4 * k + i));
const alike = { speedSpread: 0, bandwidthSpread: 0 };
const defaults: Omit<SimulationOptions, "method"> = {
  train,
  test: train,
  clients,
  rounds: 4,
  blockSize: 2,
  work: { steps: 1 },
  batchSize: 2,
  optimizer: { name: "sgd" },
  learningRate: 0.3,
  evaluateEvery: 0,
  seed: 1,
};

function make(name: string): Method {
  return methodOn(name, { targets: ["encoder.inner", "encoder.outer"], rank: 2, alpha: 3, svd: "exact" });
}

async function valuesOf(model: TaskModel): Promise<Map<string, Float32Array>> {
  return new Map(
    await Promise.all(
      [...model.namedParameters()].map(async ([name, each]) => [name, await each.floats()] as const),
    ),
  );
}

interface Run {
  readonly reports: readonly RoundReport[];
  readonly values: ReadonlyMap<string, Float32Array>;
  /** The states after each update, as files. */
  readonly states: readonly Uint8Array[];
}

async function run(options: Partial<SimulationOptions>): Promise<Run> {
  const reports: RoundReport[] = [];
  const states: Uint8Array[] = [];
  for await (const event of simulate(pretrained, { method: make("fedit"), ...defaults, ...options })) {
    if (event.type === "round") {
      reports.push(event.report);
      states.push(await encodeRunState(event.state));
    }
    if (event.type === "finished") {
      const values = await valuesOf(event.model);
      disposeOwn(event.model, pretrained);
      return { reports, values, states };
    }
  }
  throw new Error("unreachable");
}

function bits({ values }: Run) {
  return [...values].map(([name, each]) => [name, bitsOf(each)] as const);
}

/** Without what depends on time and blocks. */
function told({ reports }: Run) {
  return reports.map(({ seconds: _, liveBytes: __, ...rest }) => rest);
}

/** Clients that train to the global values plus one number of each one's own. */
function adding(
  numbers: readonly number[],
  isLost = (_round: number, _client: number) => false,
): Participants {
  return {
    async *train({ clients, model, plan, round }): AsyncGenerator<Outcome> {
      const global = new Map(model.namedParameters());
      for (const client of clients) {
        if (isLost(round, client.id)) {
          yield { client, phase: "training", reason: "it went away" };
          continue;
        }
        const values = plan.trained.map((name) => {
          const x = global.get(name)!;
          return [
            name,
            keep(tidy(() => add(reshape(x, [1, ...x.shape]), tensor(gpu, [numbers[client.id]!])))),
          ] as const;
        });
        yield {
          clients: [client],
          values: new Map(values),
          keep: new Map(),
          losses: [client.id],
          bytesUp: [10],
          bytesDown: [1],
        };
      }
    },
  };
}

function biasOf(values: ReadonlyMap<string, Float32Array>): Float32Array {
  return [...values].find(([name]) => /^head.*bias$/.test(name))![1];
}

/** Runs three clients, of which the last is slow, and gives how far each value has moved after each update. */
async function move(
  asynchrony: Omit<Asynchrony, "clock" | "inFlight">,
  rounds: number,
  isLost?: Parameters<typeof adding>[1],
) {
  const run = federate(pretrained, {
    method: make("fedbf"),
    participants: adding([1, 2, 4], isLost),
    fleet: { numExamples: [1, 2, 3], sample: () => [] },
    asynchrony: { ...asynchrony, inFlight: 3, clock: ({ client }) => [1, 1, 2.5][client]! },
    rounds,
    seed: 1,
  });
  const reports: RoundReport[] = [];
  const moved: number[] = [];
  const lost: number[] = [];
  let first: Map<string, Float32Array> | undefined;
  for await (const event of run) {
    if (event.type === "initialized") first = await valuesOf(event.model);
    if (event.type === "client-lost") lost.push(event.lost.client.id);
    if (event.type === "round") {
      reports.push(event.report);
      const bias = biasOf(await valuesOf(event.model));
      const start = biasOf(first!);
      assert.ok(bias.every((each, i) => Math.abs(each - start[i]! - bias[0]! + start[0]!) < 1e-5));
      moved.push(bias[0]! - start[0]!);
    }
    if (event.type === "finished") disposeOwn(event.model, pretrained);
  }
  return { reports, moved, lost };
}

function near(got: readonly number[], wanted: readonly number[]) {
  // Values below 8 in f32, some roundings each.
  assert.equal(got.length, wanted.length);
  for (const [i, each] of got.entries()) {
    assert.ok(Math.abs(each - wanted[i]!) < 1e-5, `${got}, expected ${wanted}`);
  }
}

test("FedAsync takes clients as they arrive, and each has trained from the model that it was asked with", async () => {
  const { reports, moved } = await move({ kind: "fedasync", bufferSize: 1, rate: 0.5 }, 5);
  // Of each update: who arrives, the version it started from, and when. All are in flight, so that who arrives is asked again.
  const arrivals = [[0, 0, 1], [1, 0, 1], [0, 1, 2], [1, 2, 2], [2, 0, 2.5]] as const;
  const x = [0];
  for (const [t, [client, version]] of arrivals.entries()) {
    const share = 0.5 / Math.sqrt(1 + t - version);
    x.push((1 - share) * x[t]! + share * (x[version]! + [1, 2, 4][client]!));
  }
  assert.deepEqual(reports.map(({ participants }) => participants), arrivals.map(([client]) => [client]));
  assert.deepEqual(reports.map(({ staleness }) => staleness!.most), [0, 1, 1, 1, 4]);
  assert.deepEqual(reports.map(({ simulatedSeconds }) => simulatedSeconds), arrivals.map(([, , at]) => at));
  assert.deepEqual(reports.map(({ trainLoss }) => trainLoss), [0, 1, 0, 1, 2]);
  assert.deepEqual(reports.map(({ bytesUp, bytesDown }) => [bytesUp, bytesDown]), [
    [10, 3],
    [10, 1],
    [10, 1],
    [10, 1],
    [10, 1],
  ]);
  near(moved, x.slice(1));
});

test("FedBuff moves when its buffer is full, a late change counting less", async () => {
  const { reports, moved } = await move({ kind: "fedbuff", bufferSize: 2, rate: 0.5 }, 3);
  assert.deepEqual(reports.map(({ participants }) => participants), [[0, 1], [0, 1], [0, 2]]);
  assert.deepEqual(reports.map(({ staleness }) => staleness), [
    { mean: 0, most: 0 },
    { mean: 0, most: 0 },
    { mean: 1, most: 2 },
  ]);
  assert.deepEqual(reports.map(({ simulatedSeconds }) => simulatedSeconds), [1, 2, 3]);
  near(moved, [0.75, 1.5, 1.5 + 0.25 * (1 + 4 / Math.sqrt(3))]);
});

test("a client that is lost has no place in flight, and is asked again before the next update", async () => {
  const { reports, moved, lost } = await move(
    { kind: "fedbuff", bufferSize: 2, rate: 1 },
    3,
    (round, client) => client === 1 && round < 3,
  );
  assert.deepEqual(lost, [1, 1]);
  assert.deepEqual(reports.map(({ participants, lost }) => [participants, lost]), [
    [[0, 2], [1]],
    [[0, 2], [1]],
    [[0, 1], []],
  ]);
  near(moved, [2.5, 5, 6.5]);
});

test("with nobody in flight an update leaves the model as it was", async () => {
  const { reports, moved } = await move(
    { kind: "fedbuff", bufferSize: 2, rate: 1 },
    2,
    (round) => round === 1,
  );
  assert.deepEqual([reports[0]!.participants, reports[0]!.staleness, reports[0]!.trainLoss], [
    [],
    null,
    null,
  ]);
  near(moved, [0, 1.5]);
});

test("clients of equal speed that all fill the buffer are synchronous federated averaging", async () => {
  for (const clientsPerRound of [3, 6]) {
    const synchronous = await run({ clientsPerRound });
    const asynchronous = await run({
      clientsPerRound,
      asynchrony: { kind: "fedbuff", bufferSize: clientsPerRound, clock: alike },
    });
    for (const [i, { participants, trainLoss, bytesUp, bytesDown }] of asynchronous.reports.entries()) {
      const wanted = synchronous.reports[i]!;
      assert.deepEqual([participants, bytesUp, bytesDown], [
        wanted.participants,
        wanted.bytesUp,
        wanted.bytesDown,
      ]);
      assert.ok(Math.abs(trainLoss! - wanted.trainLoss!) < 1e-6);
    }
    for (const [name, values] of synchronous.values) {
      const got = asynchronous.values.get(name)!;
      assert.ok(values.every((each, i) => Math.abs(each - got[i]!) < 1e-6), name);
    }
  }
});

test("a slow client comes late: its staleness is what the others did meanwhile", async () => {
  const secondsPerStep = [4, 1, 1, 1];
  const { reports } = await run({
    clients: clients.slice(0, 4),
    rounds: 10,
    asynchrony: { kind: "fedasync", clock: { secondsPerStep, bytesPerSecond: 1e15 } },
  });
  // Three updates a second, until the slow one arrives after nine.
  assert.deepEqual(reports.map(({ participants }) => participants[0]), [1, 2, 3, 1, 2, 3, 1, 2, 3, 0]);
  assert.deepEqual(reports.map(({ staleness }) => staleness!.most), [0, 1, 2, 2, 2, 2, 2, 2, 2, 9]);
  assert.ok(Math.abs(reports[9]!.simulatedSeconds! - 4) < 1e-6);
});

/** Runs in which much waits between updates: changes, what clients keep of their own, and what a codec left out. */
const running: readonly Partial<SimulationOptions>[] = [
  { asynchrony: { kind: "fedbuff", inFlight: 4, bufferSize: 2 } },
  { method: make("fedsa-lora"), asynchrony: { kind: "fedasync", inFlight: 3 }, evaluateEvery: 1 },
  {
    method: fedAdam(make("ffa-lora"), {}),
    codec: createCodec(codecConfig.parse({ name: "topk", share: 0.5 })),
    asynchrony: { kind: "fedbuff", inFlight: 5, bufferSize: 2, serverLearningRate: 0.5 },
  },
];

test("a run that is resumed after any update, from a file, has the same bits", async () => {
  for (const options of running) {
    const whole = await run(options);
    assert.ok(whole.reports.some(({ staleness }) => staleness!.most > 0));
    for (const [i, bytes] of whole.states.entries()) {
      const { state } = decodeRunState(gpu, bytes);
      assert.deepEqual(await encodeRunState(state), bytes);
      const rest = await run({ ...options, resume: state });
      assert.deepEqual(bits(rest), bits(whole), `after update ${i + 1}`);
      assert.deepEqual(told(rest), told(whole).slice(i + 1));
    }
  }
});

test("blocks of any size give the same bits", async () => {
  for (const options of running) {
    const one = await run({ ...options, blockSize: 1 });
    for (const blockSize of [3, "auto"] as const) {
      const many = await run({ ...options, blockSize });
      assert.deepEqual(bits(many), bits(one));
      assert.deepEqual(told(many), told(one));
    }
  }
});

test("an asynchronous run gives all memory back but what the finished model owns, left early too", async () => {
  const before = gpu.stats().liveBytes;
  const options = { ...defaults, method: make("fedit"), asynchrony: running[0]!.asynchrony };
  for await (const event of simulate(pretrained, options)) {
    if (event.type === "finished") disposeOwn(event.model, pretrained);
  }
  assert.equal(gpu.stats().liveBytes, before);
  for await (const { type } of simulate(pretrained, options)) if (type === "round") break;
  assert.equal(gpu.stats().liveBytes, before);
});

test("what an asynchronous server can't do is refused by name, before anything is trained", async () => {
  const fedbuff = { kind: "fedbuff", bufferSize: 2 } as const;
  const refusals: readonly (readonly [Partial<SimulationOptions>, RegExp])[] = [
    [{ asynchrony: fedbuff, secureAggregation: {} }, /asynchrony: masks cancel|secure aggregation/],
    [{ asynchrony: fedbuff, aggregator: median() }, /a buffer has changes from several models/],
    [{ asynchrony: fedbuff, sampling: "poisson" }, /Cannot run fedbuff with sampling "poisson"/],
    [{ asynchrony: fedbuff, method: make("central") }, /central with asynchrony: it is one party/],
    [{ asynchrony: fedbuff, method: make("federa-exact") }, /federa-exact with asynchrony: it combines/],
    [{ asynchrony: fedbuff, method: make("prilora") }, /prilora with asynchrony: its clients send something/],
    [
      { asynchrony: fedbuff, measures: [measures.get("aggregation-error")!] },
      /Cannot measure aggregation-error/,
    ],
    [{ asynchrony: { kind: "fedbuff", bufferSize: 7 } }, /bufferSize 7: expected at most inFlight, 6/],
    [{ asynchrony: { kind: "fedasync", mixing: 2 } }, /Cannot simulate asynchrony: mixing/],
    [{
      asynchrony: fedbuff,
      stages: [{ name: "tilt", server: (each) => Promise.resolve(each) }],
    }, /fedit with fedbuff and tilt/],
  ];
  const before = gpu.stats().liveBytes;
  for (const [options, message] of refusals) await assert.rejects(run(options), message);
  assert.equal(gpu.stats().liveBytes, before);
});

test("a state is gone on from by a server of its own kind, and with what it has in flight as it should be", async () => {
  const options = running[0]!;
  const { states } = await run({ ...options, rounds: 1 });
  const resume = (change: (state: RunState) => RunState) => change(decodeRunState(gpu, states[0]!).state);
  await assert.rejects(
    run({ resume: resume((state) => state) }),
    /the run is synchronous, and the state of an asynchronous one/,
  );
  await assert.rejects(
    run({ ...options, resume: resume(({ inFlight: _, ...state }) => state) }),
    /the run is asynchronous, and the state of a synchronous one/,
  );
  const meddled = (meddle: (flight: NonNullable<RunState["inFlight"]>["flights"][number]) => object) =>
    resume((state) => ({
      ...state,
      inFlight: {
        ...state.inFlight!,
        flights: state.inFlight!.flights.map((flight) => ({ ...flight, ...meddle(flight) })),
      },
    }));
  const other = new Map([["head.bias", { shape: [9], data: new Float32Array(9) }]]);
  await assert.rejects(
    run({ ...options, resume: meddled(() => ({ sent: other })) }),
    /has head.bias, which isn't trained so/,
  );
  await assert.rejects(
    run({ ...options, resume: meddled(() => ({ version: 5 })) }),
    /in flight with version 5/,
  );
});
