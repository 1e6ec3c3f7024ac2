import assert from "node:assert/strict";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { killAndResume } from "../support/kill_and_resume.ts";
import { tinyBert, tinyProject } from "../support/tiny_project.ts";

// The long form, 50 kills of each kind: npm run prove:resume.
test(
  "federa resume goes on to the same bits after SIGKILL, also while a checkpoint was written",
  { skip: process.platform === "win32" },
  async (t) => {
    const [method] = tinyBert.methods;
    const folder = await tinyProject(t, {
      ...tinyBert,
      rounds: 3,
      codec: { name: "topk", share: 0.25 },
      clientsPerRound: 2,
      optimizer: { name: "sgd" },
      methods: [{ ...method, algorithm: "scaffold" }],
    });
    const kills = await killAndResume({
      config: join(folder, "config.json"),
      rounds: 3,
      kills: 2,
      seed: Date.now() % 1e6,
    });
    assert.deepEqual(kills.map(({ difference }) => difference), [undefined, undefined]);
  },
);
