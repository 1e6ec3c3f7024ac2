import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { readHistory } from "../../src/fl/history.ts";
import { commandArguments } from "../support/bundled_command.ts";
import { ended, federa, root, start } from "./federa_command.ts";
import { tinyBert, tinyExamples, tinyProject } from "../support/tiny_project.ts";

const endless = { ...tinyBert, rounds: 100_000 };
const command = `"${process.execPath}" "${commandArguments.join('" "')}"`;
const isPosix = process.platform !== "win32";

/** Runs a line of a shell to its end. */
function shell(line: string) {
  return ended(spawn("bash", ["-c", line], { cwd: root, stdio: ["ignore", "pipe", "pipe"] }));
}

/** Waits until a file has a text. */
async function appears(path: string, text: string, child: ChildProcess): Promise<void> {
  while (!(await readFile(path, "utf8").catch(() => "")).includes(text)) {
    assert.equal(child.exitCode, null, "the command ended by itself");
    await delay(20);
  }
}

/** Starts a run that would take for ever, and waits for its first round. */
async function startEndless(t: TestContext, launch: (args: string[]) => ChildProcess = start) {
  const folder = await tinyProject(t, endless);
  const child = launch(["run", join(folder, "config.json")]);
  t.after(() => child.kill("SIGKILL"));
  const end = ended(child);
  const run = join(folder, "runs", "tiny-001");
  await appears(join(run, "fedit", "history.jsonl"), '"round":1', child);
  return { child, end, run };
}

/** What an interrupted run has left. */
async function recordOf(run: string) {
  const { records, tornLine } = await readHistory(join(run, "fedit", "history.jsonl"));
  const { methods } = JSON.parse(await readFile(join(run, "summary.json"), "utf8")) as {
    methods: Record<string, unknown>[];
  };
  const rounds = records.filter(({ type }) => type === "round").length;
  return { last: records.at(-1), tornLine, rounds, statuses: methods.map(({ status }) => status), methods };
}

for (const [signal, code] of [["SIGTERM", 143], ["SIGINT", 130]] as const) {
  test(`federa run leaves a record on ${signal} and ends with ${code}`, { skip: !isPosix }, async (t) => {
    const { child, end, run } = await startEndless(t);
    child.kill(signal);
    const { code: found, stderr, stdout } = await end;
    assert.deepEqual([found, stderr], [code, ""]);
    assert.match(stdout, /The history so far is in .*tiny-001\n$/);
    const { last, tornLine, rounds, statuses, methods } = await recordOf(run);
    assert.deepEqual([last, tornLine], [{ type: "interrupted", round: rounds }, undefined]);
    assert.deepEqual([statuses, methods[0]!["rounds"]], [["interrupted"], rounds]);
  });
}

test("SIGTERM reaches a command that was started through with_gpu", { skip: !isPosix }, async (t) => {
  const launch = (args: string[]) =>
    spawn(process.execPath, ["scripts/with_gpu.mjs", "src/cli/main.ts", ...args], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
    });
  const { child, end, run } = await startEndless(t, launch);
  child.kill("SIGTERM");
  assert.equal((await end).code, 143);
  assert.equal((await recordOf(run)).last?.["type"], "interrupted");
});

test("a second Ctrl-C ends the process at once", { skip: !isPosix }, async () => {
  const code = `
    import { Interruption } from "./src/cli/terminal/interrupt.ts";
    const interruption = new Interruption();
    interruption.listen(() => console.log("first"));
    console.log("ready");
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, [
    "--import",
    "./scripts/register.mjs",
    "--input-type=module",
    "--eval",
    code,
  ], { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text);
  const exit = once(child, "exit");
  while (!stdout.includes("ready")) await delay(10);
  child.kill("SIGINT");
  // The same press, passed on by a parent.
  child.kill("SIGINT");
  while (!stdout.includes("first")) await delay(10);
  await delay(400);
  assert.equal(child.exitCode, null);
  child.kill("SIGINT");
  assert.deepEqual(await exit, [null, "SIGINT"]);
});

test(
  "output that nobody reads on ends a command without a word, and a run in order",
  { skip: !isPosix },
  async (t) => {
    assert.deepEqual(await shell(`set -o pipefail; ${command} methods | true`), {
      code: 0,
      stdout: "",
      stderr: "",
    });
    const folder = await tinyProject(t, endless);
    const { code, stdout, stderr } = await shell(
      `set -o pipefail; ${command} run ${join(folder, "config.json")} | grep -m1 "train loss"`,
    );
    assert.deepEqual([code, stderr], [141, ""]);
    assert.match(stdout, /^ +round +1\/.*\n$/);
    const { last } = await recordOf(join(folder, "runs", "tiny-001"));
    assert.equal(last?.["type"], "interrupted");
  },
);

test("output that can't be written is told", { skip: process.platform !== "linux" }, async () => {
  const { code, stderr } = await shell(`${command} methods > /dev/full`);
  assert.deepEqual([code, stderr], [
    1,
    "Cannot write the output: ENOSPC: no space left on device, write; free some space\n",
  ]);
});

test("federa run goes on with the other methods when one fails, and says so in the table and at the end", async (t) => {
  const method = tinyBert.methods[0]!;
  const folder = await tinyProject(t, {
    ...tinyBert,
    task: "regression",
    optimizer: { name: "sgd" },
    local: { steps: 6 },
    methods: [method, { method: "fft", label: "wild", learningRate: 1e6 }, { ...method, label: "second" }],
  });
  const lines = tinyExamples.map(({ text }, i) => `${JSON.stringify({ text, label: i / 3 })}\n`).join("");
  await writeFile(join(folder, "train.jsonl"), lines);
  await writeFile(join(folder, "test.jsonl"), lines);
  const { code, stdout, stderr } = await federa("run", join(folder, "config.json"));
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^1 of 3 methods failed:\n {2}wild: Cannot continue after round 1, in which no client came through: .* NaN; .*gradients\n$/,
  );
  assert.match(stdout, /^wild +failed: Cannot continue after round 1, in which .*…$/m);
  assert.match(stdout, /^fedit +-?0\.\d+ +-?0\.\d+ +\d\.\d+\nwild.*\nsecond +-?0\.\d+/m);
  const table = stdout.split("\n").slice(stdout.split("\n").findIndex((line) => line.startsWith("method ")));
  assert.ok(table.slice(0, -4).every((line) => [...line].length <= 80), table.join("\n"));
  const run = join(folder, "runs", "tiny-001");
  const { methods } = JSON.parse(await readFile(join(run, "summary.json"), "utf8")) as {
    methods: Record<string, unknown>[];
  };
  assert.deepEqual(methods.map(({ status }) => status), ["finished", "failed", "finished"]);
  assert.match(String(methods[1]!["error"]), /^Cannot continue/);
  assert.equal((await readHistory(join(run, "wild", "history.jsonl"))).records.at(-1)?.["type"], "failed");
});

test("a disk that takes no more ends a run with one message", { skip: !isPosix }, async (t) => {
  const folder = await tinyProject(t, {
    ...tinyBert,
    methods: [...tinyBert.methods, { ...tinyBert.methods[0]!, label: "second" }],
  });
  const full = `import { promises } from "node:fs";
    import { syncBuiltinESMExports } from "node:module";
    const { rename } = promises;
    promises.rename = async (from, to) => {
      if (!to.includes("runs")) return await rename(from, to);
      if (!to.endsWith("config.json")) {
        throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
      }
      await rename(from, to);
    };
    syncBuiltinESMExports();`;
  await writeFile(join(folder, "full.mjs"), full);
  const { code, stdout, stderr } = await shell(
    `NODE_OPTIONS="--import file://${folder}/full.mjs" ${command} run ${join(folder, "config.json")}`,
  );
  assert.equal(code, 1);
  const [first, second, third, ...rest] = stderr.split("\n");
  assert.equal(first, "1 of 2 methods failed:");
  const reason = "ENOSPC: no space left on device, write; free some space";
  assert.match(
    second!,
    new RegExp(`^  fedit: Cannot write .*checkpoint-000001\\.safetensors in folder .*: ${reason}$`),
  );
  assert.match(third!, new RegExp(`^Cannot write .*summary\\.json in folder .*: ${reason}$`));
  assert.deepEqual(rest, [""]);
  assert.match(stdout, /^second +not run: nothing can be written$/m);
});

test("a run whose folder is removed ends with one message", { skip: !isPosix }, async (t) => {
  const { end, run } = await startEndless(t);
  await rm(run, { recursive: true });
  const { code, stderr } = await end;
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^1 of 1 methods failed:\n {2}fedit: Cannot write (history .*: it has been removed|.*checkpoint.*ENOENT.*)\n/,
  );
  assert.doesNotMatch(stderr, /\n {4}at /);
});

test("SIGTERM during a download ends npm and leaves no folder", { skip: !isPosix }, async (t) => {
  const folder = await tinyProject(t, { ...tinyBert, model: "use-lite" });
  const [bin, cache, started] = ["bin", "cache", "started"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await mkdir(bin);
  await writeFile(join(bin, "npm"), `#!/bin/sh\necho $$ > "${started}"\nexec sleep 60\n`);
  await chmod(join(bin, "npm"), 0o755);
  const child = start(["run", join(folder, "config.json")], {
    PATH: `${bin}:${process.env["PATH"]}`,
    npm_execpath: "",
    XDG_CACHE_HOME: cache,
    MESA_SHADER_CACHE_DIR: cache,
  });
  t.after(() => child.kill("SIGKILL"));
  const end = ended(child);
  await appears(started, "\n", child);
  child.kill("SIGTERM");
  const { code, stderr } = await end;
  assert.deepEqual([code, stderr], [143, ""]);
  const npm = Number(await readFile(started, "utf8"));
  assert.throws(() => process.kill(npm, 0), { code: "ESRCH" });
  assert.deepEqual(await readdir(join(cache, "federa", "npm")), []);
  assert.deepEqual(await readdir(join(folder, "runs")), []);
});
