import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { byWorth, runTestFiles } from "../../bench/gpu/tests.ts";

const files = {
  good: `test("adds", () => {}); test("waits for a network", { skip: "no network" }, () => {});`,
  bad: `test("is fine", () => {}); test("compares", () => { throw new Error("expected 1, got 2"); });`,
  dies: `test("is fine", () => {}); test("dies", () => process.kill(process.pid, "SIGKILL"));`,
  hangs: `test("hangs", () => new Promise(() => setInterval(() => {}, 1000)));`,
};

test("runTestFiles() tells what passed, failed, died, hung and was left out", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "federa-gpu-tests-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = (name: string) => join(folder, `${name}.mjs`);
  for (const [name, body] of Object.entries(files)) {
    await writeFile(path(name), `import { test } from "node:test"; ${body}`);
  }
  const run = (names: readonly string[], fileSeconds: number) =>
    runTestFiles(names.map(path), { seconds: 60, fileSeconds, concurrency: 3 });
  const results = [...await run(["good", "bad", "dies"], 60), ...await run(["hangs"], 2)];
  const of = (name: string) => results.find(({ file }) => file === path(name))!;
  const { seconds, ...good } = of("good");
  assert.ok(seconds > 0);
  assert.deepEqual(good, {
    file: path("good"),
    outcome: "passed",
    passed: 1,
    skipped: [{ name: "waits for a network", reason: "no network" }],
    failures: [],
  });
  assert.equal(of("bad").outcome, "failed");
  assert.equal(of("bad").passed, 1);
  assert.deepEqual(of("bad").failures.map(({ name }) => name), ["compares"]);
  assert.match(of("bad").failures[0]!.error, /^Error: expected 1, got 2/);
  assert.equal(of("dies").outcome, "died");
  assert.deepEqual(of("dies").failures.map(({ name }) => name), ["SIGKILL"]);
  assert.equal(of("hangs").outcome, "hung");
  assert.deepEqual(of("hangs").failures.map(({ name }) => name), ["no end after 2 s"]);

  const late = await runTestFiles([path("good")], { seconds: 0, fileSeconds: 60, concurrency: 1 });
  assert.deepEqual(late.map(({ outcome }) => outcome), ["not run"]);
});

test("byWorth() puts the engine's tests first and those that need no adapter last", () => {
  const names = ["bench/a", "cli/run", "engine/gpu/b", "engine/gpu/a", "fl/round", "models/bert"];
  assert.deepEqual(
    byWorth(names.map((name) => join("test", `${name}_test.ts`))).map((path) => path.slice(5, -8)),
    ["engine/gpu/a", "engine/gpu/b", "models/bert", "fl/round", "cli/run", "bench/a"],
  );
});
