import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { readConfig } from "../../../src/experiment/config/parse_config.ts";
import { prepare } from "../../../src/experiment/run/prepare.ts";
import { runExperiment, type RunExperimentOptions } from "../../../src/experiment/run/run_experiment.ts";
import { openTrained } from "../../../src/experiment/trained/open_trained.ts";
import { readHistory } from "../../../src/fl/history.ts";
import { testGpu } from "../../engine/harness.ts";
import { silent } from "../../support/silent_reporter.ts";
import { tinyBert, tinyExamples, tinyProject } from "../../support/tiny_project.ts";

const gpu = await testGpu();
const [method] = tinyBert.methods;
const two = { ...tinyBert, methods: [method, { ...method, method: "federa" }] };

/** Runs a configuration, and gives what it came to and its folder. */
async function runTiny(t: TestContext, config: object, options: Partial<RunExperimentOptions> = {}) {
  const project = await tinyProject(t, config);
  if ("task" in config) {
    const lines = tinyExamples.map(({ text }, i) => `${JSON.stringify({ text, label: i / 3 })}\n`).join("");
    for (const name of ["train.jsonl", "test.jsonl"]) await writeFile(join(project, name), lines);
  }
  const folder = join(project, "run");
  await mkdir(folder);
  const preparation = await prepare(await readConfig(join(project, "config.json")), gpu, {
    reporter: silent,
  });
  const held = gpu.stats().liveBytes;
  const results = await runExperiment(preparation, { reporter: silent, folder, ...options });
  assert.equal(gpu.stats().liveBytes, held, "a run left something on the GPU");
  const adapter = (...path: string[]) => readFile(join(folder, ...path, "adapter.safetensors"));
  const summary = JSON.parse(await readFile(join(folder, "summary.json"), "utf8")) as Record<string, unknown>;
  return { folder, preparation, results, adapter, summary };
}

test("runExperiment() of one replicate gives each method a folder, and no statistics", async (t) => {
  const { folder, results, summary } = await runTiny(t, two);
  assert.deepEqual((await readdir(folder)).sort(), ["federa", "fedit", "summary.json"]);
  assert.deepEqual((await readdir(join(folder, "fedit"))).sort(), [
    "adapter.safetensors",
    "checkpoint-000002.safetensors",
    "federa.json",
    "history.jsonl",
  ]);
  assert.equal(results.statistics, null);
  assert.equal(summary["statistics"], null);
});

test("runExperiment() leaves clients' own models of a method that has no common one, and no model that began at random", async (t) => {
  const lines: string[] = [];
  const { folder } = await runTiny(t, {
    ...tinyBert,
    methods: [{ ...method, method: "fedsa-lora" }],
    keepBest: true,
  }, { reporter: { ...silent, line: (text) => void lines.push(text) } });
  const own = join(folder, "fedsa-lora");
  assert.deepEqual((await readdir(own)).sort(), [
    "checkpoint-000002.safetensors",
    "clients",
    "history.jsonl",
  ]);
  for (const client of await readdir(join(own, "clients"))) {
    assert.deepEqual((await readdir(join(own, "clients", client))).sort(), [
      "adapter.safetensors",
      "federa.json",
    ]);
  }
  assert.match(lines.join("\n"), /keepBest keeps nothing here[^]*their \d+ models are in .*clients/);
  await assert.rejects(
    openTrained(gpu, own, { reporter: silent }),
    /its models are in subfolders; give one of .*clients\/000/,
  );
});

test("runExperiment() runs every method on the same draws and seeds, each as it would run alone", async (t) => {
  const { folder, adapter, results, summary } = await runTiny(t, { ...two, draws: [1, 5], seeds: 2 });
  const places = ["draw-1-seed-1", "draw-1-seed-2", "draw-5-seed-1", "draw-5-seed-2"];
  assert.deepEqual((await readdir(join(folder, "fedit"))).sort(), places);
  assert.deepEqual((await readdir(join(folder, "federa"))).sort(), places);
  assert.deepEqual(
    results.runs.map(({ label, draw, seed }) => `${label}/draw-${draw}-seed-${seed}`),
    places.flatMap((place) => [`fedit/${place}`, `federa/${place}`]),
  );
  const alone = await runTiny(t, two);
  for (const label of ["fedit", "federa"]) {
    assert.deepEqual(await adapter(label, "draw-1-seed-1"), await alone.adapter(label));
  }
  const other = await runTiny(t, { ...two, draws: [5], seeds: [2] });
  assert.deepEqual(await adapter("federa", "draw-5-seed-2"), await other.adapter("federa"));
  const adapters = await Promise.all(
    places.map(async (place) => (await adapter("fedit", place)).toString("hex")),
  );
  assert.equal(new Set(adapters).size, 4);

  const { records: [header] } = await readHistory(join(folder, "fedit", "draw-5-seed-2", "history.jsonl"));
  assert.deepEqual([header!["draw"], header!["seed"]], [5, 2]);
  assert.equal((summary["methods"] as unknown[]).length, 8);
  const { loss } = results.statistics!;
  const [fedit, federa] = ["fedit", "federa"].map((label) =>
    results.runs.filter((run) => run.label === label).map(({ after }) => after!.loss)
  ) as [number[], number[]];
  const mean = federa.reduce((sum, value, i) => sum + (value - fedit[i]!) / 4, 0);
  assert.ok(Math.abs(loss!.methods[1]!.difference!.mean - mean) < 1e-12);
  assert.equal(loss!.methods[1]!.difference!.count, 4);
  assert.equal(loss!.variance!.effects.length, 7);
});

test("runExperiment() goes on after a run that failed, and compares the pairs that both methods finished", async (t) => {
  const ends: (string | undefined)[] = [];
  const places: string[] = [];
  const { results } = await runTiny(t, {
    ...tinyBert,
    task: "regression",
    optimizer: { name: "sgd" },
    local: { steps: 6 },
    methods: [method, { method: "fft", label: "wild", learningRate: 1e6 }, { ...method, label: "second" }],
    seeds: 2,
  }, {
    onStart: (_, { method, number, total }) => {
      places.push(`${method.label ?? method.method} ${number}/${total}`);
      return () => undefined;
    },
    onEnd: ({ error }) => ends.push(error?.slice(0, 15)),
  });
  assert.deepEqual(places, ["fedit 1/6", "wild 2/6", "second 3/6", "fedit 4/6", "wild 5/6", "second 6/6"]);
  assert.deepEqual(ends.map((end) => end !== undefined), [false, true, false, false, true, false]);
  const { methods, variance } = results.statistics!["loss"]!;
  assert.deepEqual(methods.map(({ after }) => after?.count), [2, undefined, 2]);
  assert.equal(methods[1]!.difference, null);
  // The same method twice: no difference at all.
  assert.deepEqual([methods[2]!.difference!.mean, methods[2]!.difference!.sd], [0, 0]);
  assert.deepEqual(variance!.methods, ["fedit", "second"]);
});

test("runExperiment() stops where it is interrupted, with a summary of what was run", async (t) => {
  const controller = new AbortController();
  let folder = "";
  const begun: number[] = [];
  await assert.rejects(
    runTiny(t, { ...two, seeds: 3 }, {
      signal: controller.signal,
      onStart: (experiment, { number }) => {
        begun.push(number);
        folder = experiment.config.output;
        return ({ type }) => number === 2 && type === "round" && controller.abort(new Error("Enough"));
      },
    }),
    { message: "Enough" },
  );
  assert.deepEqual(begun, [1, 2]);
  const summary = JSON.parse(await readFile(join(folder, "..", "run", "summary.json"), "utf8")) as {
    methods: { status: string }[];
  };
  assert.deepEqual(summary.methods.map(({ status }) => status), ["finished", "interrupted"]);
});

test("prepare() refuses draws that can't differ", async (t) => {
  const config = { ...two, data: { ...two.data, columns: { key: "sender" } }, partition: { kind: "by-key" } };
  await assert.rejects(runTiny(t, { ...config, draws: 2 }), {
    name: "ConfigError",
    message:
      /^Cannot compare 2 draws: partition\.kind "natural-id" gives every client the same examples in each; leave out draws$/,
  });
  await runTiny(t, { ...config, seeds: 2, rounds: 1, methods: [method] });
});
