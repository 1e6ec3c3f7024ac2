import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { readConfig } from "../../../src/experiment/config/parse_config.ts";
import type { Reporter } from "../../../src/experiment/report/reporter.ts";
import { type Preparation, prepare } from "../../../src/experiment/run/prepare.ts";
import {
  runExperiment,
  type RunExperimentOptions,
  type RunResults,
} from "../../../src/experiment/run/run_experiment.ts";
import type { Gpu } from "../../../src/engine/mod.ts";
import { bestRound } from "../../../src/experiment/run/stop_early.ts";
import { openTrained } from "../../../src/experiment/trained/open_trained.ts";
import { readHistory, type RoundReport } from "../../../src/fl/mod.ts";
import { readSafetensors } from "../../../src/models/mod.ts";
import { evaluate } from "../../../src/tasks/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { resultsIn } from "../../support/run_results.ts";
import { silent } from "../../support/silent_reporter.ts";
import { tinyBert, tinyProject } from "../../support/tiny_project.ts";

const gpu = await testGpu();
const [method] = tinyBert.methods;
/** Clients keep the part of their updates that the codec left out. */
const stateful = { ...tinyBert, rounds: 3, codec: { name: "topk", share: 0.25 } };
const two = { ...stateful, methods: [method, { ...method, method: "federa-exact" }] };

interface Ran {
  readonly folder: string;
  readonly lines: readonly string[];
  readonly preparation: Preparation;
  readonly results?: RunResults;
  readonly error?: Error;
}

/** Runs the configuration of a project in a folder. */
async function run(project: string, options: Partial<RunExperimentOptions> = {}): Promise<Ran> {
  const folder = join(project, "run");
  await mkdir(folder, { recursive: true });
  const lines: string[] = [];
  const reporter: Reporter = { line: (text) => lines.push(text), progress() {}, endProgress() {} };
  const preparation = await prepare(await readConfig(join(project, "config.json")), gpu, { reporter });
  const held = gpu.stats().liveBytes;
  try {
    return {
      folder,
      lines,
      preparation,
      results: await runExperiment(preparation, { reporter, folder, ...options }),
    };
  } catch (error) {
    return { folder, lines, preparation, error: error as Error };
  } finally {
    assert.equal(gpu.stats().liveBytes, held, "a run left something on the GPU");
  }
}

/** Options that end a run in order, after an event of the run with a number. */
function endedAt(isLast: (type: string, round: number) => boolean, run = 1): Partial<RunExperimentOptions> {
  const controller = new AbortController();
  return {
    signal: controller.signal,
    onStart: (_, { number }) => (event) => {
      const round = "report" in event ? event.report.round : "round" in event ? event.round as number : 0;
      if (number === run && isLast(event.type, round)) controller.abort(new Error("Enough"));
    },
  };
}

/** A project, and what a run of it that never stops leaves. */
async function reference(t: TestContext, config: object) {
  const project = await tinyProject(t, config);
  const { folder, results } = await run(project);
  const expected = await resultsIn(folder);
  await rm(folder, { recursive: true });
  return { project, folder, results, expected };
}

test("runExperiment() resumes to the bits, history and summary of a run that never stopped", async (t) => {
  const { project, folder, expected, results: all } = await reference(t, two);
  const moments: [string, Partial<RunExperimentOptions>][] = [
    ["before the first round", endedAt((type) => type === "initialized")],
    ["in round 2", endedAt((type, round) => type === "progress" && round === 2)],
    ["after round 2", endedAt((type, round) => type === "round" && round === 2)],
    ["after the last round", endedAt((type, round) => type === "round" && round === 3)],
    ["in the second method", endedAt((type, round) => type === "progress" && round === 2, 2)],
  ];
  for (const [moment, options] of moments) {
    assert.equal((await run(project, options)).error?.message, "Enough", moment);
    const { error, results } = await run(project, { resume: true });
    assert.equal(error, undefined, moment);
    assert.deepEqual(
      results!.runs.map(({ error }) => error),
      [undefined, undefined],
      moment,
    );
    const found = await resultsIn(folder);
    assert.deepEqual(Object.keys(found), Object.keys(expected), moment);
    for (const [name, content] of Object.entries(expected)) {
      assert.deepEqual(found[name], content, `${moment}: ${name}`);
    }
    const strip = ({ seconds: _, ...rest }: { seconds: number }) => rest;
    assert.deepEqual(results!.runs.map(strip), all!.runs.map(strip), moment);
    await rm(folder, { recursive: true });
  }
  // Again and again, from a copy elsewhere.
  for (let i = 1; i <= 3; i++) {
    await run(project, { resume: true, ...endedAt((type, round) => type === "progress" && round === i + 1) });
  }
  await cp(folder, join(project, "moved"), { recursive: true });
  await rm(folder, { recursive: true });
  await cp(join(project, "moved"), folder, { recursive: true });
  await run(project, { resume: true });
  assert.deepEqual(await resultsIn(folder), expected);
});

/** A project whose run was ended after the second of three rounds, and what one that never stops leaves. */
async function interrupted(t: TestContext) {
  const { project, folder, expected } = await reference(t, stateful);
  await run(project, endedAt((type, round) => type === "round" && round === 2));
  const pathOf = (round: number) => join(folder, "fedit", `checkpoint-00000${round}.safetensors`);
  return { project, folder, expected, pathOf };
}

test("runExperiment() takes the checkpoint before one that can't be used, and says why", async (t) => {
  const { project, folder, expected, pathOf } = await interrupted(t);
  const kept = join(project, "kept");
  await cp(folder, kept, { recursive: true });
  const good = await readFile(pathOf(2));
  const flipped = Buffer.from(good);
  flipped[good.length - 3]! ^= 4;
  const newer = withChecksum(
    Buffer.from(good.toString("latin1").replace('"version":"1"', '"version":"2"'), "latin1"),
  );
  const cases: [string, Buffer | undefined, RegExp][] = [
    ["damaged", flipped, /its SHA-256 isn't the one that it was written with; the one of round 1 is taken$/],
    [
      "truncated",
      good.subarray(0, good.length / 2),
      /SHA-256 isn't the one .*; the one of round 1 is taken$/,
    ],
    [
      "empty",
      Buffer.alloc(0),
      /it is truncated or damaged: it has no checksum; the one of round 1 is taken$/,
    ],
    [
      "of a later version",
      newer,
      /a later version of federa wrote it, in format 2; this one reads 1; the one of/,
    ],
    ["missing", undefined, /^$/],
  ];
  for (const [what, bytes, message] of cases) {
    if (bytes === undefined) await rm(pathOf(2));
    else await writeFile(pathOf(2), bytes);
    const { error, lines } = await run(project, { resume: true });
    assert.equal(error, undefined, what);
    assert.match(lines.find((line) => line.startsWith("Cannot use checkpoint")) ?? "", message, what);
    assert.deepEqual(await resultsIn(folder), expected, what);
    await rm(folder, { recursive: true });
    await cp(kept, folder, { recursive: true });
  }
  for (const round of [1, 2]) await writeFile(pathOf(round), flipped);
  const { results } = await run(project, { resume: true });
  assert.match(
    results!.runs[0]!.error!,
    /^Cannot resume fedit: none of its checkpoints can be used; remove .*fedit to run it again from its first round:\n( {2}.*SHA-256.*\n?){2}$/,
  );
  assert.equal(results!.runs[0]!.rounds, 2);
  for (const round of [1, 2]) await rm(pathOf(round));
  const { lines } = await run(project, { resume: true });
  assert.ok(lines.includes("fedit has no checkpoint: it begins again with its first round"));
  assert.deepEqual(await resultsIn(folder), expected);
});

/** A checkpoint file with the checksum of what it holds. */
function withChecksum(file: Buffer): Buffer {
  const at = file.indexOf('"checksum":"') + '"checksum":"'.length;
  file.write("0".repeat(64), at);
  file.write(createHash("sha256").update(file).digest("hex"), at);
  return file;
}

test("runExperiment() refuses to resume by name of what has changed, and goes on where no bit changes", async (t) => {
  const { project, folder, expected } = await interrupted(t);
  const path = join(project, "config.json");
  const config = await readFile(path, "utf8");
  const refused: [string, object, RegExp][] = [
    [
      "batch size",
      { batchSize: 4 },
      /^Cannot resume fedit: what its results follow from has changed; .*:\n {2}batchSize: was 2, is 4$/,
    ],
    ["steps", { local: { steps: 2 } }, /\n {2}local\.steps: was 1, is 2$/],
    ["method", { methods: [{ ...method, rank: 3 }] }, /\n {2}method\.rank: was 2, is 3$/],
    [
      "clients",
      { partition: { kind: "iid", numClients: 2 } },
      /\n {2}the examples to train on, or which client holds which \(SHA-256 was .*\)/,
    ],
    ["rounds", { rounds: 1 }, /^Cannot resume fedit: rounds must be at least the 2 that it has done, got 1$/],
    [
      "replicates",
      { seeds: 2 },
      /^Cannot resume .*: fedit was run for one replicate, and draws and seeds now say several; restore them$/,
    ],
  ];
  const before = await resultsIn(folder);
  for (const [what, change, message] of refused) {
    await writeFile(path, JSON.stringify({ ...JSON.parse(config), ...change }));
    const { error } = await run(project, { resume: true });
    assert.equal(error?.name, "ResumeError", what);
    assert.match(error.message, message);
  }
  await writeFile(path, config);
  const checkpoint = join(project, "bert", "model.safetensors");
  const weights = await readFile(checkpoint);
  const other = Buffer.from(weights);
  other[weights.length - 1]! ^= 1;
  await writeFile(checkpoint, other);
  assert.match(
    (await run(project, { resume: true })).error!.message,
    /\n {2}the weights of the pretrained model \(SHA-256/,
  );
  await writeFile(checkpoint, weights);
  const texts = await readFile(join(project, "test.jsonl"), "utf8");
  await writeFile(join(project, "test.jsonl"), texts.replace("minutes", "hours"));
  assert.match(
    (await run(project, { resume: true })).error!.message,
    /\n {2}the examples to evaluate on \(SHA-256/,
  );
  await writeFile(join(project, "test.jsonl"), texts);
  const history = join(folder, "fedit", "history.jsonl");
  const written = await readFile(history, "utf8");
  const older = written.replace(String.raw`\"federa's arithmetic\":2,`, "");
  assert.notEqual(older, written);
  await writeFile(history, older);
  assert.match(
    (await run(project, { resume: true })).error!.message,
    /\n {2}federa's arithmetic: was not there, is 2$/,
  );
  await writeFile(history, written);
  assert.deepEqual(await resultsIn(folder), before);

  await writeFile(
    path,
    JSON.stringify({ ...JSON.parse(config), blockSize: 1, checkpointing: true, maxGpuBytes: 1e9 }),
  );
  assert.equal((await run(project, { resume: true })).error, undefined);
  const same = (results: Record<string, unknown>) =>
    Object.entries(results).filter(([name]) => name.endsWith(".safetensors"));
  assert.deepEqual(same(await resultsIn(folder)), same(expected));
  // More rounds: what is finished goes on too.
  await writeFile(path, JSON.stringify({ ...JSON.parse(config), rounds: 4 }));
  assert.equal((await run(project, { resume: true })).results!.runs[0]!.rounds, 4);
  const longer = await resultsIn(folder);
  await rm(folder, { recursive: true });
  await run(project);
  assert.deepEqual(same(longer), same(await resultsIn(folder)));
});

test("a run that is interrupted leaves the model of its last whole round, and the best round's beside it", async (t) => {
  const config = { ...stateful, rounds: 6, keepBest: true };
  const { project, folder, results } = await reference(t, config);
  const scores = results!.runs[0]!;
  assert.equal(scores.status, "finished");
  const { preparation, error } = await run(
    project,
    endedAt((type, round) => type === "progress" && round === 3),
  );
  assert.equal(error?.message, "Enough");
  const { records } = await readHistory(join(folder, "fedit", "history.jsonl"));
  assert.deepEqual(records.at(-1), { type: "interrupted", round: 2 });
  const rounds = records.filter(({ type }) => type === "round") as unknown as RoundReport[];
  const best = bestRound(rounds, { ...preparation, task: preparation.task })!.round;
  for (const [path, round] of [[join(folder, "fedit"), 2], [join(folder, "fedit", "best"), best]] as const) {
    using opened = await testGpu();
    const { model } = await openTrained(opened, path, { reporter: silent });
    const { test: expected } = rounds[round - 1]!;
    const found = await evaluate(model, preparation.test);
    assert.deepEqual(found.scores, expected!.scores, path);
    assert.ok(Math.abs(found.loss - expected!.loss) <= 1e-6 * expected!.loss, path);
  }
});

test("a run that ends early is finished, and resumed it stays so until the rule changes", async (t) => {
  const config = { ...stateful, rounds: 30, stopEarly: { patience: 2 } };
  const project = await tinyProject(t, { ...config, methods: [{ ...method, learningRate: 1e-9 }] });
  const { folder, results } = await run(project);
  const [first] = results!.runs;
  assert.deepEqual([first!.status, first!.rounds], ["finished", 3]);
  const { records } = await readHistory(join(folder, "fedit", "history.jsonl"));
  assert.deepEqual(records.slice(-2), [
    { type: "stopped", round: 3, reason: "accuracy was best in round 1, 2 rounds ago" },
    { type: "finished" },
  ]);
  const kept: string[] = [];
  await run(project, { resume: true, onKept: ({ label }) => kept.push(label) });
  assert.deepEqual(kept, ["fedit"]);
  const path = join(project, "config.json");
  const { stopEarly: _, ...without } = JSON.parse(await readFile(path, "utf8"));
  await writeFile(path, JSON.stringify({ ...without, rounds: 4 }));
  const { results: longer } = await run(project, { resume: true });
  assert.equal(longer!.runs[0]!.rounds, 4);
});

test("a run that loses its device goes on with another one to the same bits, as often as it may", async (t) => {
  const config = {
    ...stateful,
    methods: [method, { ...method, algorithm: "scaffold" }],
    optimizer: { name: "sgd" },
    maxDeviceLosses: 3,
  };
  const { project, folder, expected } = await reference(t, config);
  const reporter: { lines: string[] } & Reporter = {
    lines: [],
    line: (text) => reporter.lines.push(text),
    progress() {},
    endProgress() {},
  };
  const devices: Gpu[] = [];
  const reopen = async () => {
    devices.push(await testGpu());
    return await prepare(await readConfig(join(project, "config.json")), devices.at(-1)!, { reporter });
  };
  /** Destroys the device in rounds of the methods, each once. */
  const losing = (moments: Set<string>): Pick<RunExperimentOptions, "onStart"> => ({
    onStart: (_, { number }) => (event) => {
      if (event.type !== "progress" || event.phase !== "training") return;
      if (moments.delete(`${number}/${event.round}`)) devices.at(-1)!.device.destroy();
    },
  });
  const start = async (moments: string[]) => {
    await mkdir(folder, { recursive: true });
    return await runExperiment(await reopen(), { reporter, folder, reopen, ...losing(new Set(moments)) });
  };
  const { runs } = await start(["1/1", "1/3", "2/2"]);
  assert.deepEqual(runs.map(({ status }) => status), ["finished", "finished"]);
  assert.equal(devices.length, 4);
  assert.deepEqual(await resultsIn(folder), expected);
  assert.match(
    reporter.lines.find((line) => line.includes("lost its device"))!,
    /goes on with another one, 1 of at most 3 times$/,
  );
  const { records } = await readHistory(join(folder, "scaffold-fedit", "history.jsonl"));
  const note = records.find(({ type }) => type === "resumed")!;
  assert.equal(note["round"], 1);
  assert.match(String(note["reason"]), /^Cannot use the GPU device/);

  await rm(folder, { recursive: true });
  const path = join(project, "config.json");
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), maxDeviceLosses: 1 }));
  const { runs: ended } = await start(["1/2", "1/3", "2/2"]);
  assert.deepEqual(ended.map(({ status, rounds }) => [status, rounds]), [["failed", 2], ["not run", 0]]);
  for (const device of devices) device.close();
});

test("what clients keep on disk gives the same bits, goes on from checkpoints, and leaves no files that none needs", async (t) => {
  const config = {
    ...stateful,
    rounds: 4,
    clientsPerRound: 2,
    methods: [{ ...method, algorithm: "scaffold" }],
    optimizer: { name: "sgd" },
  };
  const { project, folder, expected } = await reference(t, config);
  const path = join(project, "config.json");
  const own = join(folder, "scaffold-fedit");
  const models = (results: Record<string, unknown>) =>
    Object.entries(results).filter(([name]) => name.endsWith("adapter.safetensors"));
  const setState = async (clientState: string) =>
    await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), clientState }));
  await setState("disk");
  await run(project);
  assert.deepEqual(models(await resultsIn(folder)), models(expected));
  const files = await readdir(join(own, "clients"));
  assert.equal(files.length, 3, "the last checkpoint has one file for each client");
  const onDisk = await resultsIn(folder);
  await rm(folder, { recursive: true });

  await run(project, endedAt((type, round) => type === "round" && round === 3));
  const kept = join(project, "kept");
  await cp(folder, kept, { recursive: true });
  // The last two checkpoints', and those that the round after them had begun with.
  assert.ok((await readdir(join(own, "clients"))).length <= 2 * 3 + 2);
  await run(project, { resume: true });
  assert.deepEqual(await resultsIn(folder), onDisk);

  // A client's file of the last checkpoint alone: the one before is taken.
  const again = async () => {
    await rm(folder, { recursive: true });
    await cp(kept, folder, { recursive: true });
  };
  const referred = async (round: number) =>
    JSON.parse(
      readSafetensors(await readFile(join(own, `checkpoint-00000${round}.safetensors`)))
        .metadata["clientFiles"]!,
    ).map(({ file }: { file: string }) => file) as string[];
  await again();
  const before = await referred(2);
  const lastAlone = (await referred(3)).find((file) => !before.includes(file))!;
  await writeFile(join(own, "clients", lastAlone), "damaged");
  const { lines } = await run(project, { resume: true });
  assert.match(
    lines.find((line) => line.startsWith("Cannot use checkpoint"))!,
    /Cannot read what client \d keeps, .*: its SHA-256 isn't .*; the one of round 2 is taken$/,
  );
  assert.deepEqual(await resultsIn(folder), onDisk);

  // Moved into memory on the way.
  await again();
  await setState("memory");
  await run(project, { resume: true });
  assert.deepEqual(models(await resultsIn(folder)), models(expected));
});
