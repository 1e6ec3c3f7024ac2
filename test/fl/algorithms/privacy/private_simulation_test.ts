import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeRunState,
  dpFedAvg,
  encodeRunState,
  f32Codec,
  fedAdam,
  federate,
  type FederationEvent,
  fedProx,
  localDp,
  measures,
  type Method,
  poissonFleet,
  PrivacyBudgetError,
  privacySpent,
  type RoundReport,
  scaffold,
  simulate,
  type SimulationOptions,
} from "../../../../src/fl/mod.ts";
import { disposeOwn } from "../../../../src/fl/own_parameters.ts";
import { bitsOf, testGpu } from "../../../engine/harness.ts";
import { methodOn } from "../../../support/methods.ts";
import { PayloadParticipants } from "../../../support/payload_participants.ts";
import { randomClients, tinyClassifier, tinyTask } from "../../../support/tiny_encoder.ts";

const gpu = await testGpu();
const train = tinyTask({ size: 40, length: 4, seed: 1 });
const pretrained = tinyClassifier(gpu, { seed: 7 });
const clients = randomClients(train.size, 8, 1);
const make = (name: string, more: Readonly<Record<string, unknown>> = {}): Method =>
  methodOn(name, { targets: ["encoder.inner", "encoder.outer"], rank: 2, alpha: 2, svd: "exact", ...more });
const privacy = { clipNorm: 0.1, noiseMultiplier: 1, delta: 1e-3 };
const defaults: SimulationOptions = {
  method: dpFedAvg(make("fedit"), privacy),
  train,
  test: train,
  evaluateEvery: 0,
  clients,
  clientsPerRound: 4,
  sampling: "poisson",
  rounds: 4,
  blockSize: 2,
  work: { steps: 1 },
  batchSize: 4,
  optimizer: { name: "adamw" },
  learningRate: 0.05,
  seed: 3,
};

/** Reports but for time and memory, the state after a round, and the bits of the model in the end. */
async function outcome(events: AsyncGenerator<FederationEvent>, stateOf = 0) {
  const reports: Omit<RoundReport, "seconds" | "liveBytes">[] = [];
  let saved: Uint8Array | undefined;
  for await (const event of events) {
    if (event.type === "round") {
      const { seconds: _, liveBytes: __, ...rest } = event.report;
      reports.push(rest);
      if (rest.round === stateOf) saved = await encodeRunState(event.state);
    }
    if (event.type !== "finished") continue;
    const parameters = await Promise.all(
      [...event.model.namedParameters()].map(async ([name, each]) =>
        [name, bitsOf(await each.floats())] as const
      ),
    );
    disposeOwn(event.model, pretrained);
    return { reports, parameters, saved };
  }
  throw new Error("unreachable");
}

const run = (changes: Partial<SimulationOptions> = {}, stateOf?: number) =>
  outcome(simulate(pretrained, { ...defaults, ...changes }), stateOf);

test("poissonFleet() asks each client by itself at its rate, drawn by seed and round", () => {
  const numExamples = new Array<number>(50).fill(1);
  const fleet = poissonFleet(numExamples, { rate: 0.3, seed: 5 });
  const rounds = Array.from({ length: 400 }, (_, round) => fleet.sample(round + 1));
  assert.deepEqual(fleet.sample(7), rounds[6]);
  const sizes = rounds.map(({ length }) => length);
  const mean = sizes.reduce((a, b) => a + b) / 400;
  const variance = sizes.reduce((sum, size) => sum + (size - 15) ** 2, 0) / 400;
  // Binomial: 15 and 10.5; their deviations over 400 rounds are 0.16 and 0.75. Beyond five of them comes one seed in 10⁶.
  assert.ok(Math.abs(mean - 15) < 0.8 && Math.abs(variance - 10.5) < 3.7, `${mean}, ${variance}`);
  const counts = numExamples.map((_, id) => rounds.filter((ids) => ids.includes(id)).length);
  assert.ok(counts.every((count) => Math.abs(count - 120) < 5.5 * Math.sqrt(84)), `${counts}`);
  assert.deepEqual(poissonFleet(numExamples, { rate: 1, seed: 5 }).sample(1), [...numExamples.keys()]);
  for (const rate of [0, 1.1, NaN]) {
    assert.throws(
      () => poissonFleet(numExamples, { rate, seed: 5 }),
      new RangeError(`Cannot sample clients at rate ${rate}: expected a number above 0 and up to 1`),
    );
  }
});

test("simulate() with dpFedAvg() reports ε of every round, of empty ones too, and gives the same bits in blocks of any size", async () => {
  const options = { clientsPerRound: 1, rounds: 8, measures: [measures.get("weight-variation")!] };
  const before = gpu.stats().liveBytes;
  const wanted = await run(options);
  const sizes = wanted.reports.map(({ participants }) => participants.length);
  assert.ok(sizes.includes(0) && Math.max(...sizes) > 1, `${sizes}`);
  wanted.reports.forEach(({ round, privacy: spent, trainLoss, participants, measures }) => {
    const mechanism = { samplingRate: 1 / 8, noiseMultiplier: 1, rounds: round };
    assert.deepEqual(spent, {
      epsilon: privacySpent([mechanism], { delta: 1e-3 }).epsilon,
      delta: 1e-3,
      noiseMultiplier: 1,
      clipNorm: 0.1,
    });
    assert.equal(trainLoss === null, participants.length === 0);
    // An empty round moves too.
    assert.ok(Object.values(measures).some((value) => value !== null && value > 0));
  });
  for (const blockSize of [1, "auto"] as const) {
    const { reports, parameters } = await run({ ...options, blockSize });
    assert.deepEqual({ reports, parameters }, { reports: wanted.reports, parameters: wanted.parameters });
  }
  assert.equal(gpu.stats().liveBytes, before);
});

test("simulate() with dpFedAvg() counts every client the same, whatever its examples, and no sampling but Poisson's", async () => {
  // Without amplification ε is that of the plain Gaussian mechanism.
  const { reports: [first] } = await run({ sampling: "uniform", rounds: 1 });
  const plain = privacySpent([{ samplingRate: 1, noiseMultiplier: 1, rounds: 1 }], { delta: 1e-3 }).epsilon;
  assert.equal(first!.privacy!.epsilon, plain);
  assert.equal(first!.participants.length, 4);
  const method = dpFedAvg(make("fedit"), privacy);
  const { model, state } = await method.init(pretrained, { seed: 1, numClients: 8 });
  assert.equal(method.plan(state, 1).weighBy, "client");
  disposeOwn(model, pretrained);
});

test("simulate() resumes differential privacy to the same bits, with a clip norm that follows the changes and a ledger", async () => {
  const adaptive = { quantile: 0.3, learningRate: 0.5, countNoise: 0.8 };
  for (
    const method of [
      dpFedAvg(make("ffa-lora"), { ...privacy, adaptive }),
      dpFedAvg(fedAdam(fedProx(make("federa"))), privacy),
      localDp(make("fedex-lora"), privacy),
      localDp(make("flexlora", { ranks: [1, 2, 1, 2, 1, 2, 1, 2] }), privacy),
    ]
  ) {
    const wanted = await run({ method }, 2);
    const { state } = decodeRunState(gpu, wanted.saved!);
    const { reports, parameters } = await run({ method, resume: state });
    assert.deepEqual(parameters, wanted.parameters, method.name);
    assert.deepEqual(reports, wanted.reports.slice(2));
  }
});

test("simulate() resumed with other noise accounts for each round by its own", async () => {
  const { saved } = await run({ rounds: 2 }, 2);
  const { state } = decodeRunState(gpu, saved!);
  const tree = state.method as Record<string, unknown>;
  const { reports } = await run({
    rounds: 3,
    resume: { ...state, method: { ...tree, noiseMultiplier: 0.7 } as never },
  });
  const spent = privacySpent([
    { samplingRate: 0.5, noiseMultiplier: 1, rounds: 2 },
    { samplingRate: 0.5, noiseMultiplier: 0.7, rounds: 1 },
  ], { delta: 1e-3 });
  assert.equal(reports[0]!.privacy!.epsilon, spent.epsilon);
});

test("dpFedAvg() and localDp() from payload to payload give the bits and bytes of simulated blocks", async () => {
  const adaptive = { countNoise: 0.8 };
  for (
    const method of [
      dpFedAvg(make("fedit"), { ...privacy, adaptive }),
      dpFedAvg(make("slora", { sparseRounds: 1 }), privacy),
      localDp(make("fedex-lora"), privacy),
    ]
  ) {
    const options = { ...defaults, method, rounds: 3 };
    const wanted = await run(options);
    const participants = new PayloadParticipants({
      ...options,
      learningRate: 0.05,
      pretrained,
      codec: f32Codec,
    });
    const found = await outcome(
      federate(pretrained, {
        ...options,
        asynchrony: undefined,
        participants,
        fleet: poissonFleet(clients.map(({ length }) => length), { rate: 0.5, seed: 3 }),
      }),
    );
    assert.deepEqual(found, { ...wanted, saved: undefined }, method.name);
  }
});

test("dpFedAvg() refuses what would pass its budget, before the run and before the round, and names what would do", async () => {
  const of = (options: Partial<Parameters<typeof dpFedAvg>[1]>) =>
    dpFedAvg(make("fedit"), { ...privacy, ...options });
  const spent = (rounds: number) =>
    privacySpent([{ samplingRate: 0.5, noiseMultiplier: 1, rounds }], { delta: 1e-3 }).epsilon;
  const epsilon = (spent(3) + spent(4)) / 2;
  await assert.rejects(run({ method: of({ epsilon }) }), (error) => {
    assert.ok(error instanceof PrivacyBudgetError);
    assert.match(
      error.message,
      /^Cannot run round 4 with dp-fedavg\(fedit\): ε would be [\d.]+ at δ 0.001, and [\d.]+ may be spent; lower rounds to 3, or raise noiseMultiplier to ([\d.]+)$/,
    );
    const raised = Number(/multiplier to ([\d.]+)/i.exec(error.message)![1]);
    assert.ok(
      privacySpent([{ samplingRate: 0.5, noiseMultiplier: raised, rounds: 4 }], { delta: 1e-3 }).epsilon <=
        epsilon,
    );
    return true;
  });
  // Three rounds are within it; resumed for a fourth, the run stops before that.
  const { saved } = await run({ method: of({ epsilon }), rounds: 3 }, 3);
  const before = gpu.stats().liveBytes;
  const { state } = decodeRunState(gpu, saved!);
  const method = of({ epsilon, noiseMultiplier: 2 });
  const tree = state.method as Record<string, unknown>;
  assert.equal(tree["noiseMultiplier"], 1);
  await assert.rejects(run({ method, resume: state }), /Cannot run round 4 .* lower rounds to 3$/);
  assert.equal(gpu.stats().liveBytes, before);
  // Without noise of its own it takes the least that lasts.
  const { reports } = await run({ method: of({ epsilon, noiseMultiplier: undefined }) });
  const last = reports.at(-1)!.privacy!;
  assert.ok(last.epsilon <= epsilon && last.epsilon > epsilon * (1 - 1e-6), `${last.epsilon}`);
  assert.ok(last.noiseMultiplier > 1 && last.noiseMultiplier < 1.5);
});

test("dpFedAvg() and localDp() refuse by name what they aren't sound with", async () => {
  const privately = (name: string) => dpFedAvg(make(name), privacy);
  const refused = async (changes: Partial<SimulationOptions>, message: RegExp) =>
    await assert.rejects(run(changes), (error: Error) => {
      assert.match(error.message, message);
      return true;
    });
  const before = gpu.stats().liveBytes;
  for (const name of ["fedex-lora", "flora", "flexlora", "hetlora"]) {
    await refused(
      { method: privately(name) },
      /noise covers the sum, and it looks at the upload of each client: take/,
    );
  }
  await refused({ method: privately("central") }, /it is one party with all data/);
  await refused({ method: privately("local") }, /its clients send nothing, so there is nothing to protect/);
  await refused({ method: localDp(make("local"), privacy) }, /its clients send nothing/);
  await refused({ method: dpFedAvg(scaffold(make("fedit")), privacy) }, /its control variates are longer/);
  for (const name of ["aggregation-error", "client-dispersion"]) {
    await refused({ measures: [measures.get(name)!] }, new RegExp(`Cannot measure ${name} with dp-fedavg`));
  }
  await refused(
    { method: dpFedAvg(make("fedit"), { ...privacy, delta: 0.2 }) },
    /δ 0.2 to 8 clients: expected less than 1\/8/,
  );
  assert.throws(
    () => fedProx(privately("fedit")),
    /Cannot put fedprox over dp-fedavg\(fedit\): .* put the privacy over it/,
  );
  assert.throws(() => localDp(privately("fedit"), privacy), /Cannot put local-dp over dp-fedavg\(fedit\)/);
  await refused(
    { method: dpFedAvg(make("fedit"), { clipNorm: 1 }) },
    /Cannot use dp-fedavg: expected noiseMultiplier or epsilon, got neither/,
  );
  await refused(
    { method: dpFedAvg(make("fedit"), { ...privacy, adaptive: {} }) },
    /Cannot adapt the clip norm with noise multiplier 1: expected less than 2·countNoise = 0.4/,
  );
  assert.throws(
    () => dpFedAvg(make("fedit"), { ...privacy, clipNorm: 0 }),
    /Cannot use dp-fedavg: clipNorm: /,
  );
  assert.equal(gpu.stats().liveBytes, before);
});
