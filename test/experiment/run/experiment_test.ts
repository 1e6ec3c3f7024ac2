import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { readConfig } from "../../../src/experiment/config/parse_config.ts";
import { prepareExperiment } from "../../../src/experiment/run/experiment.ts";
import { createReporter } from "../../../src/cli/terminal/reporter.ts";
import { PassThrough } from "node:stream";
import { testGpu } from "../../engine/harness.ts";
import { tinyBert, tinyProject } from "../../support/tiny_project.ts";

const gpu = await testGpu();
const options = { reporter: createReporter(new PassThrough()) };
const [method] = tinyBert.methods;

for (
  const [title, change, message] of [
    [
      "a partition by a key that examples lack",
      { partition: { kind: "by-key" } },
      /data\.columns\.key: expected the column of the keys/,
    ],
    [
      "more clients a round than there are",
      { clientsPerRound: 4 },
      /Cannot sample 4 clients a round: there are 3/,
    ],
    [
      "more clients than examples",
      { partition: { kind: "iid", numClients: 13 } },
      /13 clients need at least 1/,
    ],
    [
      "a score that the task hasn't",
      { target: { metric: "acuracy", value: 0.9 } },
      /target\.metric .* did you mean "accuracy"\?/,
    ],
    [
      "longer texts than the model reads",
      { maxLength: 33 },
      /texts of 33 tokens with .*: it reads at most 32; lower maxLength/,
    ],
    [
      "a label of the test set that training hasn't",
      { data: { ...tinyBert.data, test: "unknown.jsonl" } },
      /line 1 of .*unknown\.jsonl: its class "phishing" isn't among the labels of data\.train: ham, spam/,
    ],
    [
      "a rank beyond a layer of the second method",
      { methods: [method, { ...method, label: "large", rank: 13 }] },
      /^Cannot run method "large": Cannot adapt .*\.query of shape \[12, 12\] with rank 13: .* 1 to 12$/,
    ],
    [
      "targets of the second method that match nothing",
      { methods: [method, { ...method, label: "x", targets: ["**.attention.*"] }] },
      /^Cannot run method "x": .*"\*\*\.attention\.\*".* did you mean "\*\*\.attention\.\*\*"\?$/,
    ],
    [
      "methods that don't fit, all at once",
      { methods: [{ ...method, rank: 13 }, { ...method, label: "x", targets: ["query"] }] },
      /^Cannot run the methods:\n {2}method "fedit": .*rank 13.*\n {2}method "x": .*"\*\*\.query"\?$/,
    ],
    [
      "training weights that are stored in 8 bits",
      { methods: [{ method: "fft", learningRate: 0.01 }], precision: "int8" },
      /^Cannot run method "fft": Cannot train .*, which is stored as int8: choose a low-rank method, or the precision f32$/,
    ],
  ] as const
) {
  test(`prepareExperiment() refuses ${title} without the weights`, async (t) => {
    const folder = await tinyProject(t, { ...tinyBert, ...change });
    // Whoever asked for them would say that they are missing.
    await rm(join(folder, "bert", "model.safetensors"));
    const live = gpu.stats().liveBytes;
    await assert.rejects(
      async () => prepareExperiment(await readConfig(join(folder, "config.json")), gpu, options),
      { message },
    );
    assert.equal(gpu.stats().liveBytes, live);
  });
}

test("readConfig() suggests the hub for a model that is not a folder", async (t) => {
  const folder = await tinyProject(t, { ...tinyBert, model: "prajjwal1/bert-tiny" });
  await assert.rejects(readConfig(join(folder, "config.json")), {
    name: "ConfigError",
    message:
      /model\.source: there is no folder .*prajjwal1\/bert-tiny; did you mean "hf:prajjwal1\/bert-tiny"\?$/,
  });
});
