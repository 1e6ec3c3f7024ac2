import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { type MethodConfig, methodLabel } from "../../../src/experiment/config/config.ts";
import { createMethod } from "../../../src/experiment/config/method_config.ts";
import { ConfigError, parseConfig, readConfig } from "../../../src/experiment/config/parse_config.ts";
import { prepare } from "../../../src/experiment/run/prepare.ts";
import { runExperiment } from "../../../src/experiment/run/run_experiment.ts";
import { measures, measuresOfEach, privacySpent } from "../../../src/fl/mod.ts";
import { readHistory } from "../../../src/fl/history.ts";
import { testGpu } from "../../engine/harness.ts";
import { silent } from "../../support/silent_reporter.ts";
import { tinyClassifier } from "../../support/tiny_encoder.ts";
import { tinyBert, tinyProject } from "../../support/tiny_project.ts";

const gpu = await testGpu();
const fedIt = { method: "fedit", learningRate: 0.01 };
const minimal = {
  name: "mine",
  data: { kind: "spam-assassin" },
  partition: { kind: "iid", numClients: 20 },
  clientsPerRound: 2,
  methods: [fedIt],
  rounds: 10,
};
const privacy = { kind: "dp-fedavg", clipNorm: 0.1, noiseMultiplier: 1 };

function refused(value: unknown, message: RegExp): void {
  assert.throws(() => parseConfig(value), (error) => {
    assert.ok(error instanceof ConfigError);
    assert.match(error.message, message);
    return true;
  });
}

test("parseConfig() gives every method the configuration's privacy, unless it has its own or none", () => {
  const local = { kind: "local-dp", clipNorm: 1, epsilon: 4, delta: 1e-3 };
  const config = parseConfig({
    ...minimal,
    privacy,
    methods: [fedIt, { ...fedIt, privacy: local }, { ...fedIt, label: "open", privacy: "none" }],
  });
  const filled = { ...privacy, delta: 1e-5, noise: "seeded", sampling: "poisson" };
  assert.deepEqual(config.methods.map((each) => each.privacy), [
    filled,
    { ...local, noise: "seeded" },
    { kind: "none" },
  ]);
  assert.deepEqual(config.methods.map(methodLabel), ["dp-fedavg-fedit", "local-dp-fedit", "open"]);
  assert.deepEqual(config.methods.map((each: MethodConfig) => createMethod(each).name), [
    "dp-fedavg(fedit)",
    "local-dp(fedit)",
    "fedit",
  ]);
  // What the run's folder keeps is the same configuration.
  assert.deepEqual(parseConfig(JSON.parse(JSON.stringify(config))), config);
});

test("parseConfig() leaves out measures of single uploads where differential privacy is, and refuses them", () => {
  assert.deepEqual(parseConfig(minimal).measures, ["aggregation-error", "weight-variation"]);
  assert.deepEqual(parseConfig({ ...minimal, privacy }).measures, ["weight-variation"]);
  refused(
    { ...minimal, privacy, measures: ["client-dispersion"] },
    /client-dispersion looks at the upload of each client, and the noise of dp-fedavg covers their sum alone: leave it out/,
  );
  const pretrained = tinyClassifier(gpu);
  const seeing = [...measures].filter(([, create]) => create({ pretrained, initial: pretrained }).seesEach);
  assert.deepEqual(seeing.map(([name]) => name), [...measuresOfEach]);
});

test("parseConfig() refuses noise that doesn't keep a budget, and what isn't privacy, before anything is loaded", () => {
  refused(
    { ...minimal, privacy: { ...privacy, epsilon: 1 } },
    /privacy: Cannot run round \d+ with dp-fedavg\(fedit\): ε would be .* lower rounds to \d+, or raise noiseMultiplier to [\d.]+/,
  );
  refused(
    { ...minimal, methods: [{ ...fedIt, privacy: { ...privacy, delta: 0.1 } }] },
    /methods\[0\]\.privacy: Cannot promise dp-fedavg at δ 0.1 to 20 clients: expected less than 1\/20/,
  );
  refused(
    { ...minimal, privacy: { kind: "dp-fedavg", clipNorm: 1 } },
    /privacy: expected noiseMultiplier or epsilon, got neither/,
  );
  refused({ ...minimal, privacy: { ...privacy, clipnorm: 1 } }, /clipnorm/);
  refused({ ...minimal, privacy: { kind: "dp" } }, /privacy/);
  refused({ ...minimal, privacy: { ...privacy, adaptive: {} } }, /expected less than 2·countNoise = 0.2/);
  refused(
    { ...minimal, privacy: { kind: "local-dp", clipNorm: 1, noiseMultiplier: 1, sampling: "poisson" } },
    /sampling/,
  );
});

async function runTiny(t: TestContext, config: object) {
  const project = await tinyProject(t, { ...tinyBert, ...config });
  const folder = join(project, "run");
  await mkdir(folder);
  const preparation = await prepare(await readConfig(join(project, "config.json")), gpu, {
    reporter: silent,
  });
  return { folder, ...await runExperiment(preparation, { reporter: silent, folder }) };
}

test("runExperiment() writes ε into history and summary, and leaves a model", async (t) => {
  const [method] = tinyBert.methods;
  const { folder, runs } = await runTiny(t, {
    clientsPerRound: 2,
    methods: [{ ...method, method: "ffa-lora" }, { ...method, label: "open", privacy: "none" }],
    privacy,
  });
  const spent = (rounds: number) =>
    privacySpent([{ samplingRate: 2 / 3, noiseMultiplier: 1, rounds }], { delta: 1e-5 }).epsilon;
  assert.deepEqual(runs.map(({ label, status, privacy }) => [label, status, privacy?.epsilon]), [
    ["dp-fedavg-ffa-lora", "finished", spent(2)],
    ["open", "finished", undefined],
  ]);
  const { records } = await readHistory(join(folder, "dp-fedavg-ffa-lora", "history.jsonl"));
  const rounds = records.filter(({ type }) => type === "round");
  assert.deepEqual(
    rounds.map(({ privacy }) => privacy),
    [1, 2].map((round) => ({
      epsilon: spent(round),
      delta: 1e-5,
      noiseMultiplier: 1,
      clipNorm: 0.1,
    })),
  );
});

test("prepare() refuses by name what isn't sound with privacy", async (t) => {
  const [method] = tinyBert.methods;
  await assert.rejects(
    runTiny(t, { methods: [{ ...method, method: "fedex-lora" }], privacy }),
    /method "dp-fedavg-fedex-lora": .*noise covers the sum, and it looks at the upload of each client/,
  );
  await assert.rejects(
    runTiny(t, { privacy, codec: "int8" }),
    /rounding after clipping can make a change longer than what the noise covers: take codec f32/,
  );
  await assert.rejects(
    runTiny(t, { privacy, aggregator: "median" }),
    /noise is scaled to what one client can change of a sum/,
  );
});
