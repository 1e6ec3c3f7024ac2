import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { tinyBert, tinyProject } from "../support/tiny_project.ts";
import { ended, federa, start } from "./federa_command.ts";

const { methods: _, ...base } = tinyBert;
const tiny = {
  ...base,
  data: { ...base.data, validationShare: 0.4 },
  settings: [{ label: "even" }],
  methodDefaults: { rank: 2 },
  methods: [{ method: "fedit", learningRates: [0.01, 0.1] }, { method: "fedbf", learningRate: 0.1 }],
};

test("federa compare goes on after SIGKILL to the same records, and prints their tables", {
  skip: process.platform === "win32",
}, async (t) => {
  const folder = await tinyProject(t);
  const config = join(folder, "comparison.json");
  await writeFile(config, JSON.stringify(tiny));
  const at = (name: string) => ["compare", config, "-o", join(folder, name)];
  const whole = await federa(...at("whole"), "--chart", join(folder, "scores.svg"));
  assert.equal(whole.code, 0, whole.stderr);
  assert.match(whole.stderr, /fedit, even, rate 0\.1: accuracy \d\.\d{3}/);
  assert.match(
    whole.stdout,
    /^2 of 2 runs\. [^]*### Equal steps[^]*\| fedbf \| \d\.\d{3} \| [+−]0\.\d{3} \|/,
  );
  assert.match(await readFile(join(folder, "scores.svg"), "utf8"), /^<svg/);

  const killed = start(at("killed"));
  const end = ended(killed);
  while (!existsSync(join(folder, "killed", "records.jsonl"))) await delay(5);
  killed.kill("SIGKILL");
  await end;
  const resumed = await federa(...at("killed"), "--json");
  assert.equal(resumed.code, 0, resumed.stderr);
  const summary = JSON.parse(resumed.stdout) as { runs: object };
  assert.deepEqual(summary.runs, { done: 2, planned: 2 });
  const records = async (name: string) =>
    (await readFile(join(folder, name, "records.jsonl"), "utf8"))
      .replaceAll(/"(seconds|cpuSeconds)":[\d.e-]+/g, '"$1":0');
  assert.equal(await records("killed"), await records("whole"));
});

test("federa compare refuses what it can't do before anything starts", async (t) => {
  const folder = await tinyProject(t);
  const config = join(folder, "comparison.json");
  await writeFile(config, JSON.stringify({ ...tiny, reference: "federa" }));
  const refused = await federa("compare", config, "-o", join(folder, "out"));
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /comparison\.json:\n {2}reference: expected "fedit" or "fedbf", got "federa"/);
  assert.equal(existsSync(join(folder, "out")), false);
  const shard = await federa("compare", config, "-o", join(folder, "out"), "--shard", "3/2");
  assert.match(shard.stderr, /Expected the number of this process and of all, such as 1\/2/);
  await writeFile(config, JSON.stringify({ ...tiny, model: "nowhere" }));
  const missing = await federa("compare", config, "-o", join(folder, "out"));
  assert.match(missing.stderr, /model\.source: there is no folder .*nowhere/);
});
