import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { dataConfig } from "../../../src/experiment/config/data_config.ts";
import { exportAdapter } from "../../../src/cli/trained/export.ts";
import { mergeModel } from "../../../src/cli/trained/merge.ts";
import { writeModelFolder } from "../../../src/experiment/trained/model_folder.ts";
import { openTrained } from "../../../src/experiment/trained/open_trained.ts";
import { createTask, modelOutputs, type Task } from "../../../src/tasks/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { assertClose } from "../../support/compare.ts";
import { writeTinyCheckpoint } from "../../support/tiny_checkpoint.ts";
import { adaptedModel, KeepingReporter } from "../../experiment/trained/adapted_model.ts";

const gpu = await testGpu();
// As text they would be ordered otherwise.
const labels = Array.from({ length: 12 }, (_, i) => `${i + 1}`);
const settings = { kind: "multi-label-classification", threshold: 0.3 } as const;
const data = dataConfig.parse({ kind: "files", train: "t.csv", quotes: false });
const texts = ["win a free prize number 3", "minutes of meeting 9"];

test("what is exported or merged keeps the task, its settings, and the number of each label", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "federa-exports-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const base = join(folder, "base");
  await writeTinyCheckpoint(base, { seed: 1 });
  const readJson = async (...path: string[]) =>
    JSON.parse(await readFile(join(folder, ...path), "utf8")) as Record<string, unknown>;
  // What a base says of outputs that it once had; transformers takes it before the number of names.
  const stale = { num_labels: 2, _num_labels: 2, problem_type: "regression", id2label: { 0: "x", 1: "y" } };
  await writeFile(
    join(base, "config.json"),
    JSON.stringify({ ...await readJson("base", "config.json"), ...stale }),
  );
  const task = createTask(settings.kind, { ...settings, labels }) as Task;
  const { model, pretrained } = await adaptedModel(gpu, { task, source: base });
  const own = join(folder, "own");
  await mkdir(own);
  await writeModelFolder(own, model, {
    pretrained,
    config: { model: { source: base }, precision: "f32", task: settings, maxLength: 8, data },
  });
  const reporter = new KeepingReporter();
  const at = (name: string) => join(folder, name);
  await exportAdapter(own, { reporter, output: at("original"), form: "original" });
  const written = await exportAdapter(own, { reporter, output: at("converted"), form: "converted" });
  await mergeModel(own, { reporter, output: at("merged") });
  const names =
    "model.safetensors tokenizer.json config.json adapter_model.safetensors adapter_config.json " +
    "federa_task.json README.md";
  assert.deepEqual(written.map((path) => path.split("/").at(-1)), names.split(" "));

  for (const place of [["merged"], ["converted", "base"]]) {
    const { id2label, label2id, ...config } = await readJson(...place, "config.json");
    assert.deepEqual(id2label, Object.fromEntries(labels.map((label, i) => [i, label])));
    assert.deepEqual(label2id, Object.fromEntries(labels.map((label, i) => [label, i])));
    assert.equal(config["problem_type"], "multi_label_classification");
    assert.ok(!("num_labels" in config) && !("_num_labels" in config));
  }
  const outputsOf = async (place: string) => {
    const { model, tokenizer, description } = await openTrained(gpu, at(place), { reporter });
    const set = model.task.prepare(texts.map((text) => model.task.ask(text)), tokenizer, description);
    const { model: _, ...rest } = description;
    return { outputs: (await modelOutputs(model, set)).outputs, ...rest };
  };
  const { outputs, ...expected } = await outputsOf("own");
  for (const place of ["original", "converted", "merged"]) {
    const { outputs: found, ...description } = await outputsOf(place);
    assert.deepEqual(
      description,
      { precision: "f32", task: settings, labels, maxLength: 8, reading: expected.reading },
      place,
    );
    // The same function from weights that were rounded otherwise: some hundred f32 operations on numbers of a few units.
    assertClose(found, outputs, { absolute: 1e-4 });
  }
  assert.deepEqual(expected.labels, labels);
  assert.equal(expected.reading?.quotes, false);

  const card = await readFile(at("original/README.md"), "utf8");
  assert.ok(card.startsWith(`---\nbase_model: ${JSON.stringify(base)}\nlibrary_name: peft\n`));
  assert.match(
    card,
    /num_labels=len\(labels\),\n.*id2label.*\n.*label2id.*\n {4}problem_type="multi_label_classif/,
  );
  // A card of somebody else's stays, ours is written anew.
  await writeFile(at("original/README.md"), "mine");
  await exportAdapter(own, { reporter, output: at("original"), form: "original" });
  assert.equal(await readFile(at("original/README.md"), "utf8"), "mine");
  await exportAdapter(own, { reporter, output: at("converted"), form: "original" });
  assert.equal(await readFile(at("converted/README.md"), "utf8"), card);
});

test("what is exported or merged with a head on pooled states is opened again, head and all", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "federa-sentence-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [base, own] = [join(folder, "base"), join(folder, "own")];
  await writeTinyCheckpoint(base, { seed: 1 });
  const task = createTask(settings.kind, { ...settings, labels }) as Task;
  const { model, pretrained } = await adaptedModel(gpu, { task, source: base, pooling: "mean" });
  await mkdir(own);
  await writeModelFolder(own, model, {
    pretrained,
    config: { model: { source: base, pooling: "mean" }, precision: "f32", task: settings, maxLength: 8 },
  });
  const reporter = new KeepingReporter();
  const exported = (form: "original" | "converted") =>
    exportAdapter(own, { reporter, output: join(folder, form), form });
  await exported("original");
  await exported("converted");
  await mergeModel(own, { reporter, output: join(folder, "merged") });
  const outputsOf = async (place: string) => {
    const { model, tokenizer, description } = await openTrained(gpu, join(folder, place), { reporter });
    assert.deepEqual([description.task, description.labels, description.maxLength], [settings, labels, 8]);
    const set = model.task.prepare(texts.map((text) => model.task.ask(text)), tokenizer, description);
    return (await modelOutputs(model, set)).outputs;
  };
  const expected = await outputsOf("own");
  for (const place of ["original", "converted", "merged"]) {
    assertClose(await outputsOf(place), expected, { absolute: 1e-4 });
  }
  const named = await openTrained(gpu, join(folder, "merged"), {
    reporter,
    labels: labels.map((label) => `x${label}`),
    task: "regression",
  });
  assert.deepEqual([named.model.task.kind, named.model.task.labels[9]], ["regression", "x10"]);
  await assert.rejects(openTrained(gpu, join(folder, "merged"), { reporter, task: "token-classification" }), {
    message: /for token-classification: its config\.json says that it is for multi-label-classification$/,
  });
  assert.match(
    await readFile(join(folder, "original", "README.md"), "utf8"),
    /SentenceTransformer\(folder\)\.encode/,
  );
});
