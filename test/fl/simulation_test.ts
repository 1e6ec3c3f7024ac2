import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Tensor } from "../../src/engine/mod.ts";
import { decodeAdapter, encodeAdapter, extraTensors } from "../../src/federa/mod.ts";
import {
  measures,
  type Method,
  type RoundReport,
  simulate,
  type SimulationEvent,
  type SimulationOptions,
} from "../../src/fl/mod.ts";
import { createTaskSet, evaluate, type TaskModel } from "../../src/tasks/mod.ts";
import { bitsOf, holds, testGpu } from "../engine/harness.ts";
import { methodNames as names, methodOn, trainedNames } from "../support/methods.ts";
import { randomClients, tinyClassifier, tinyTask } from "../support/tiny_encoder.ts";

const gpu = await testGpu();
const train = tinyTask({ size: 60, length: 4, seed: 1 });
const testSet = tinyTask({ size: 20, length: 4, seed: 2 });
const pretrained = tinyClassifier(gpu, { seed: 7, attention: true });

/** A method on the two layers of the tiny encoder, of rank 2. */
function make(name: string, changes: Readonly<Record<string, unknown>> = {}): Method {
  return methodOn(name, {
    targets: ["encoder.inner", "encoder.outer"],
    rank: 2,
    alpha: 3,
    svd: "exact",
    sparseRounds: 1,
    parts: 2,
    ...changes,
  });
}

const defaults: SimulationOptions = {
  method: make("federa"),
  measures: [...measures.values()],
  train,
  test: testSet,
  clients: randomClients(train.size, 7, 1),
  rounds: 2,
  clientsPerRound: 5,
  blockSize: 3,
  work: { epochs: 1 },
  batchSize: 4,
  optimizer: { name: "adamw" },
  learningRate: 0.01,
  clipNorm: 1,
  seed: 1,
};

interface Run {
  readonly reports: readonly RoundReport[];
  readonly events: readonly SimulationEvent[];
  readonly model: TaskModel;
}

async function run(changes: Partial<SimulationOptions> = {}): Promise<Run> {
  const events: SimulationEvent[] = [];
  for await (const event of simulate(pretrained, { ...defaults, ...changes })) events.push(event);
  const last = events.at(-1)!;
  assert.equal(last.type, "finished");
  return {
    events,
    reports: events.flatMap((event) => event.type === "round" ? [event.report] : []),
    model: (last as Extract<SimulationEvent, { type: "finished" }>).model,
  };
}

/** All that is the same in two runs of one seed: the reports but for time and memory, and the bits of every parameter. */
async function outcome({ reports, model }: Run) {
  const parameters = await Promise.all(
    [...model.namedParameters()].map(async ([name, each]) => [name, bitsOf(await each.floats())]),
  );
  return { reports: reports.map(({ seconds: _, liveBytes: __, ...rest }) => rest), parameters };
}

/** Frees what a run made; what it shares with the pretrained model stays. */
function release({ model }: Run): void {
  const shared = new Set<Tensor>([...pretrained.namedParameters()].map(([, each]) => each));
  for (const [, each] of model.namedParameters()) if (!shared.has(each)) each.dispose();
}

test("simulate() gives the same bits whatever the cohort size, and when repeated, with every method", async () => {
  const cases = fc.record({
    seed: fc.nat(),
    clients: fc.integer({ min: 2, max: 9 }),
    blockSizes: fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 })),
    steps: fc.integer({ min: 1, max: 3 }),
    work: fc.constantFrom("steps", "epochs"),
  });
  let isRepeated = true;
  for (const method of names) {
    await holds(cases, async ({ seed, clients, blockSizes, steps, work }) => {
      const options = {
        method: make(method),
        seed,
        clients: randomClients(train.size, clients, seed),
        clientsPerRound: Math.max(1, clients - 1),
        work: work === "steps" ? { steps } : { epochs: 1 },
      };
      const runs = [];
      for (const blockSize of [...blockSizes, ...isRepeated ? [blockSizes[0]] : []]) {
        runs.push(await outcome(await run({ ...options, blockSize })));
      }
      for (const other of runs) assert.deepEqual(other, runs[0], method);
      isRepeated = false;
    }, 1);
  }
});

test("simulate() repeats bit for bit, and another seed gives other bits", async () => {
  for (const name of names) {
    const method = make(name);
    // The first round of SMT only looks.
    const rounds = name === "smt" ? 2 : 1;
    const once = await outcome(await run({ method, rounds }));
    assert.deepEqual(await outcome(await run({ method, rounds })), once, name);
    assert.notDeepEqual(
      (await outcome(await run({ method, rounds, seed: 2 }))).parameters,
      once.parameters,
      name,
    );
  }
});

test("simulate() leaves the pretrained model as it was, so that methods can be compared side by side", async () => {
  const bits = () =>
    Promise.all([...pretrained.namedParameters()].map(async ([, each]) => bitsOf(await each.floats())));
  const before = await bits();
  for (const name of names) await run({ method: make(name), rounds: 1 });
  assert.deepEqual(await bits(), before);
});

test("simulate() holds the same memory after every round from the second on, whatever the number of clients", async () => {
  for (const name of names) {
    const options = { method: make(name), rounds: 3, blockSize: 3, batchSize: 16 };
    const live = async (count: number) => {
      const before = gpu.stats().liveBytes;
      const result = await run({
        ...options,
        clients: randomClients(train.size, count, 3),
        clientsPerRound: count,
      });
      const held = result.reports.map(({ liveBytes }) => liveBytes - before);
      release(result);
      return held;
    };
    const few = await live(3);
    assert.equal(new Set(few.slice(1)).size, 1, `${name}: ${few}`);
    assert.deepEqual(await live(10), few, `${name}: 10 clients beside 3`);
  }
});

test("simulate() gives all memory back but what the finished model owns", async () => {
  for (const name of names) {
    const before = gpu.stats().liveBytes;
    const result = await run({ method: make(name), rounds: 1 });
    const after = gpu.stats().liveBytes - before;
    const shared = new Set<Tensor>([...pretrained.namedParameters()].map(([, each]) => each));
    const owned = [...result.model.namedParameters()].filter(([, each]) => !shared.has(each));
    // Some starts also keep A₀ and B₀ for export; a buffer takes at least 256 bytes and at most twice its tensor.
    const all = [...owned.map(([, each]) => each), ...extraTensors(result.model)];
    const most = all.reduce((total, { size }) => total + Math.max(256, 8 * size), 0);
    assert.ok(after <= most, `${name}: ${after} bytes are alive, ${most} expected`);
  }
});

function trainedShapes(model: TaskModel, isTrained: RegExp): Map<string, readonly number[]> {
  return new Map(
    [...model.namedParameters()].flatMap(([name, { shape }]) => isTrained.test(name) ? [[name, shape]] : []),
  );
}

/** Length of a safetensors file of f32 tensors, straight from the format. */
function payloadLength(tensors: ReadonlyMap<string, readonly number[]>): number {
  const sorted = [...tensors].sort(([a], [b]) => a < b ? -1 : 1);
  let offset = 0;
  const header: Record<string, unknown> = { __metadata__: { codec: "f32" } };
  for (const [name, shape] of sorted) {
    const bytes = 4 * shape.reduce((product, extent) => product * extent, 1);
    header[name] = { dtype: "F32", shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  return 8 + Math.ceil(JSON.stringify(header).length / 8) * 8 + offset;
}

test("simulate() counts the bytes of encoded payloads, up and down, for each participant", async () => {
  for (const name of names.filter((name) => name in trainedNames && name !== "federa-exact")) {
    const method = make(name);
    const { model, reports } = await run({ method });
    const trained = trainedShapes(model, trainedNames[name]!);
    for (const { bytesUp, bytesDown } of reports) {
      assert.equal(bytesUp, 5 * payloadLength(trained), name);
      assert.equal(bytesDown, 5 * payloadLength(trained), name);
    }
  }
});

test("simulate() counts what FeDeRA-Exact sends beside the factors: corrections or whole residuals", async () => {
  const method = make("federa-exact");
  const { model, reports } = await run({ method, clientsPerRound: 7 });
  const trained = trainedShapes(model, trainedNames["federa-exact"]!);
  // Seven clients of rank 2 make corrections larger than the layers of 5×6.
  const dense = new Map([...trained, ["encoder.inner.weight", [5, 6]], ["encoder.outer.weight", [6, 5]]]);
  assert.deepEqual(
    reports.map(({ bytesUp }) => bytesUp),
    [7, 7].map((clients) => clients * payloadLength(trained)),
  );
  assert.deepEqual(reports.map(({ bytesDown }) => bytesDown), [
    7 * payloadLength(trained),
    7 * payloadLength(dense),
  ]);
});

test("simulate() shows which methods aggregate exactly", async () => {
  const reports = async (name: string) =>
    (await run({ method: make(name), learningRate: 0.1, clientsPerRound: 7 })).reports;
  for (const name of ["fedit", "federa"]) {
    for (const { measures: { aggregationError, appliedError } } of await reports(name)) {
      assert.ok(aggregationError! > 1e-3, `${name}: ${aggregationError}`);
      // The change that FedAvg applies misses exactly E, up to the rounding below.
      assert.ok(
        Math.abs(appliedError! - aggregationError!) <= 1e-5,
        `${name}: ${appliedError}, ${aggregationError}`,
      );
    }
  }
  for (const { measures: { aggregationError, appliedError } } of await reports("federa-exact")) {
    assert.ok(aggregationError! > 1e-3);
    // f32 rounding of the weights, some 4 times u·‖W‖, beside a change of about ‖W‖/10.
    assert.ok(appliedError! <= 40 * 2 ** -24, `federa-exact: ${appliedError}`);
  }
  for (const { measures: { aggregationError, appliedError } } of await reports("ffa-lora")) {
    assert.equal(aggregationError, 0);
    assert.ok(appliedError! <= 40 * 2 ** -24, `ffa-lora: ${appliedError}`);
  }
  for (const name of ["full", "fedbf"]) {
    for (const { measures: { aggregationError, appliedError } } of await reports(name)) {
      assert.deepEqual([aggregationError, appliedError], [null, null]);
    }
  }
  for (const { measures } of await reports("fedbf")) {
    assert.equal(measures["magnitudeFromPretrained"], null);
    assert.equal(measures["directionFromPretrained"], null);
  }
});

test("simulate() samples participants anew each round, in ascending order, and evaluates when asked", async () => {
  const { reports, events } = await run({ rounds: 5, clientsPerRound: 3, evaluateEvery: 2 });
  for (const { participants } of reports) {
    assert.equal(new Set(participants).size, 3);
    assert.deepEqual([...participants].sort((a, b) => a - b), participants);
    assert.ok(participants.every((client) => client >= 0 && client < 7));
  }
  assert.ok(new Set(reports.map(({ participants }) => String(participants))).size > 1);
  assert.deepEqual(reports.map(({ test }) => test !== null), [false, true, false, true, true]);
  const never = await run({ rounds: 1, evaluateEvery: 0 });
  assert.equal(never.reports[0]!.test, null);
  const initialized = events.find((event) => event.type === "initialized")!;
  // Step 0 is the pretrained model; federa_test.ts bounds the difference.
  const wanted = await evaluate(pretrained, testSet);
  assert.ok(Math.abs(initialized.test!.loss - wanted.loss) <= 1e-5 * wanted.loss);
  assert.equal(initialized.trainableParameters, 2 * (2 * (5 + 6)) + 3 * 6 + 3);
});

test("simulate() reads back what its reports need and no more, tensors that belong together by one submit", async () => {
  const reads: string[] = [];
  const { read } = gpu;
  gpu.read = function (...range) {
    if (!gpu.isRehearsing) reads.push(`${gpu.stats().submits}`);
    return read.apply(gpu, range);
  };
  try {
    release(await run({ method: make("fedit"), rounds: 1, measures: [] }));
    // Two evaluations of one batch, outputs and losses; two blocks' losses and counts of what isn't finite.
    assert.deepEqual([new Set(reads).size, reads.length], [2 + 2, 2 * 2 + 2 * 2]);
    reads.length = 0;
    release(await run({ method: make("fedit"), rounds: 1 }));
    assert.equal(new Set(reads).size, 2 + 2 + 1, "all measures share a submit");
  } finally {
    gpu.read = read;
  }
});

test("simulate() tells progress in order, up to each phase's total", async () => {
  const { events } = await run({ work: { steps: 2 } });
  for (const round of [1, 2]) {
    const steps = events.filter((event) =>
      event.type === "progress" && event.round === round && event.phase === "training"
    );
    // Cohorts of 3 and 2 members take two steps each.
    assert.deepEqual(
      steps.map((event) => event.type === "progress" && [event.done, event.total]),
      [1, 2, 3, 4].map((done) => [done, 4]),
    );
  }
  const order = events.flatMap((event) => event.type === "progress" ? [] : [event.type]);
  assert.deepEqual(order, ["initialized", "round", "round", "finished"]);
});

test("simulate() weighs each client's loss by its examples, and the weights sum to one", async () => {
  // A learning rate of 0 leaves every loss that of the pretrained model: over whole epochs, the mean over all examples.
  const clients = Array.from(
    { length: 6 },
    (_, k) => Array.from({ length: 4 * (k + 1) }, (_, i) => 2 * k * (k + 1) + i),
  ).slice(0, 5);
  const size = clients.flat().length;
  const { reports } = await run({
    clients,
    clientsPerRound: 5,
    learningRate: 0,
    rounds: 1,
    method: make("fedit"),
  });
  const part = createTaskSet(
    {
      batchSize: size,
      length: 4,
      inputIds: Uint32Array.from(train.inputs.inputIds!.data.slice(0, size * 4)),
      attentionMask: Float32Array.from(train.inputs.attentionMask!.data.slice(0, size * 4)),
    },
    { targets: train.targets.slice(0, size) },
  );
  const wanted = await evaluate(pretrained, part);
  // f32 log-sum-exps and means: a few times 2⁻²⁴.
  assert.ok(
    Math.abs(reports[0]!.trainLoss! - wanted.loss) <= 1e-6,
    `${reports[0]!.trainLoss}, ${wanted.loss}`,
  );
});

test("simulate() learns a task that its model can express, with every method", async () => {
  const easy = {
    ...train,
    targets: train.targets.map((_, i) => train.inputs.inputIds!.data[i * 4]! < 5 ? 0 : 1),
  };
  for (const name of names) {
    // FedPepTAO's server takes a twentieth of a step by default.
    const method = make(name, { serverRate: 1 });
    const { reports } = await run({
      method,
      train: easy,
      test: easy,
      rounds: 8,
      batchSize: 8,
      blockSize: 7,
      clientsPerRound: 7,
      learningRate: 0.05,
      evaluateEvery: 8,
    });
    const { test, trainLoss } = reports.at(-1)!;
    // Clients that keep most to themselves learn their own data, not the others'.
    const loss = ["local", "fedsa-lora"].includes(name) ? trainLoss! : test!.loss;
    assert.ok(loss < 0.8 * Math.log(3), `${name}: ${loss}`);
  }
});

test("simulate() leaves a model that adapter files carry over bit for bit, exact aggregation's residual too", async () => {
  for (const name of ["fedit", "federa", "ffa-lora", "federa-exact"]) {
    const { model } = await run({ method: make(name), rounds: 1, learningRate: 0.1 });
    const loaded = await decodeAdapter(pretrained, await encodeAdapter(model, { pretrained }));
    const bits = (each: TaskModel) =>
      Promise.all(
        [...each.namedParameters()].map(async ([name, value]) => [name, bitsOf(await value.floats())]),
      );
    assert.deepEqual(await bits(loaded), await bits(model), name);
    assert.deepEqual(await evaluate(loaded, testSet), await evaluate(model, testSet), name);
  }
});

test("simulate() names the client and round of a loss that isn't finite", async () => {
  await assert.rejects(
    run({ learningRate: 1e30, optimizer: { name: "sgd" }, clipNorm: undefined, work: { steps: 4 } }),
    {
      name: "NonFiniteError",
      message:
        /round 1, .+: client \d+ was lost in its training, as its training loss is (NaN|Infinity|-Infinity)/,
    },
  );
});

test("simulate() never makes values that aren't finite global, even where nothing is evaluated", async () => {
  // One step: its loss is that of the start, finite, and what it leaves is not.
  const options = {
    learningRate: 3e38,
    optimizer: { name: "sgd", weightDecay: 1e3 } as const,
    clipNorm: undefined,
    work: { steps: 1 },
    evaluateEvery: 0,
    rounds: 1,
  };
  await assert.rejects(run({ ...options, method: make("full") }), {
    name: "NonFiniteError",
    message: /round 1, .+: client \d+ was lost in its training, as its .+ holds/,
  });
});

test("simulate() frees what it made when it fails or is left early", async () => {
  const owned = async (f: () => Promise<unknown>) => {
    const start = gpu.stats().liveBytes;
    await f().catch(() => {});
    return gpu.stats().liveBytes - start;
  };
  const failed = await owned(() =>
    run({ learningRate: 1e30, optimizer: { name: "sgd" }, clipNorm: undefined, work: { steps: 4 } })
  );
  const left = await owned(async () => {
    for await (const event of simulate(pretrained, defaults)) if (event.type === "round") break;
  });
  assert.equal(failed, 0, `${failed} bytes after a failure`);
  assert.equal(left, 0, `${left} bytes after an early end`);
});

test("simulate() refuses options that don't fit the data before anything is trained", async () => {
  const refuses = (changes: Partial<SimulationOptions>, message: RegExp) =>
    assert.rejects(run(changes), (error: Error) => {
      assert.equal(error.name, "RangeError", String(error));
      assert.match(error.message, message);
      return true;
    });
  await refuses({ clientsPerRound: 8 }, /sample 8 clients a round: there are 7/);
  for (const value of [0, -1, 1.5, NaN]) {
    await refuses({ batchSize: value }, new RegExp(`batchSize ${value}`));
    await refuses({ blockSize: value }, /blockSize/);
    await refuses({ rounds: value }, /rounds/);
    await refuses({ clientsPerRound: value }, /clientsPerRound/);
    await refuses({ work: { epochs: value } }, /epochs/);
    await refuses({ work: { steps: value } }, /steps/);
  }
  await refuses({ clients: [[1, 2], []], clientsPerRound: 2 }, /client 1: it has no examples/);
  await refuses({ clients: [[1, 60]], clientsPerRound: 1 }, /client 0 on example 60: there are 60/);
  await refuses({ clients: [[1.5]], clientsPerRound: 1 }, /client 0 on example 1\.5/);
  await refuses({ method: make("federa", { rank: 7 }) }, /rank 7/);
  assert.throws(() => make("federa", { alpha: 0 }), {
    name: "RangeError",
    message: /alpha: expected more than 0, got 0/,
  });
  await assert.rejects(run({ method: make("federa", { targets: ["nothing"] }) }), { name: "PatternError" });
});

test("simulate() says so when the device is lost in the middle of a round", async () => {
  const doomed = await testGpu();
  const model = tinyClassifier(doomed, { seed: 7 });
  const rounds: number[] = [];
  await assert.rejects(async () => {
    for await (const event of simulate(model, { ...defaults, rounds: 3 })) {
      if (event.type === "round") rounds.push(event.report.round);
      if (event.type === "progress" && event.round === 2 && event.phase === "training") {
        doomed.device.destroy();
      }
    }
  }, { name: "DeviceLostError", message: /Cannot use the GPU device: .+; open a new one/ });
  assert.deepEqual(rounds, [1]);
});
