import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, test } from "node:test";
import { writeModelFolder } from "../../../src/experiment/trained/model_folder.ts";
import { openTrained } from "../../../src/experiment/trained/open_trained.ts";
import type { TrainedSettings } from "../../../src/experiment/trained/trained_settings.ts";
import { writeTaskNote } from "../../../src/experiment/trained/task_note.ts";
import { baseModelOf, exportPeft, lora, writeCheckpoint, writePeft } from "../../../src/federa/mod.ts";
import { encodeSafetensors, readSafetensors } from "../../../src/models/mod.ts";
import { createTask, type Task } from "../../../src/tasks/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { writeTinyCheckpoint } from "../../support/tiny_checkpoint.ts";
import { adaptedModel, KeepingReporter } from "./adapted_model.ts";

const gpu = await testGpu();
const folder = await mkdtemp(join(tmpdir(), "federa-open-"));
after(() => rm(folder, { recursive: true, force: true }));
const base = join(folder, "base");
await writeTinyCheckpoint(base, { seed: 1 });

const reporter = new KeepingReporter();
let made = 0;

function adapted(task: Task) {
  return adaptedModel(gpu, { task, source: base, initialization: lora });
}

/** A folder with an adapter as PEFT saves it, with changes to its configuration. */
async function peftAdapter(task: Task, change: Record<string, unknown> = {}): Promise<string> {
  const { model, pretrained, loaded } = await adapted(task);
  const { family } = loaded.checkpoint!;
  const exported = await exportPeft(model, { pretrained, family, base: { name: base }, form: "original" });
  const place = join(folder, `adapter-${made++}`);
  await writePeft(place, { ...exported, config: { ...exported.config, ...change } as never });
  return place;
}

function open(place: string, settings: TrainedSettings = {}) {
  return openTrained(gpu, place, { reporter, ...settings });
}

/** A copy of the base with another `config.json`. */
async function otherBase(change: Record<string, unknown>): Promise<string> {
  const place = join(folder, `base-${made++}`);
  await cp(base, place, { recursive: true });
  const path = join(place, "config.json");
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), ...change }));
  return place;
}

const three = ["a", "b", "c"];
const sequence = createTask("sequence-classification", { labels: three }) as Task;
const named = { id2label: { 0: "x", 1: "y", 2: "z" } };

describe("openTrained() of an adapter of PEFT's", () => {
  test("openTrained() takes the tokenizer of the adapter's own folder, as it was trained with that", async () => {
    const place = await peftAdapter(sequence);
    const idsOf = async () => (await open(place)).tokenizer.encode("win a prize");
    const [cls, win, a, prize, sep] = await idsOf();
    const text = await readFile(join(base, "tokenizer.json"), "utf8");
    const swapped = text.replace(`"win":${win}`, `"win":${prize}`).replace(
      `"prize":${prize}`,
      `"prize":${win}`,
    );
    await writeFile(join(place, "tokenizer.json"), swapped);
    assert.deepEqual(await idsOf(), [cls, prize, a, win, sep]);
    const { model, loaded } = await open(place);
    assert.equal(loaded.source, base);
    const merged = join(folder, "merged-own-tokenizer");
    await writeCheckpoint(merged, model, { ...loaded.checkpoint!, weights: "merged" });
    assert.equal(await readFile(join(merged, "tokenizer.json"), "utf8"), swapped);
  });

  test("openTrained() opens the base at the revision that the adapter says, without the hub", async () => {
    const hub = join(folder, "hub");
    const repo = join(hub, "models--acme--tiny");
    const commits = { main: "a".repeat(40), v1: "b".repeat(40) };
    await mkdir(join(repo, "refs"), { recursive: true });
    for (const [i, [name, commit]] of Object.entries(commits).entries()) {
      await writeFile(join(repo, "refs", name), commit);
      await writeTinyCheckpoint(join(repo, "snapshots", commit), { seed: 10 + i });
    }
    const environment = { HF_HUB_CACHE: hub, HF_HUB_OFFLINE: "1" };
    const before = Object.keys(environment).map((name) => [name, process.env[name]] as const);
    Object.assign(process.env, environment);
    try {
      const at = async (revision: string | null, settings: TrainedSettings = {}) => {
        const place = await peftAdapter(sequence, { base_model_name_or_path: "acme/tiny", revision });
        return (await open(place, settings)).loaded;
      };
      const loaded = await at("v1");
      assert.equal(loaded.source, `hf:acme/tiny@${commits.v1}`);
      assert.equal((await at(commits.v1)).source, loaded.source);
      assert.equal((await at(null)).source, `hf:acme/tiny@${commits.main}`);
      assert.equal((await at("v1", { base: "hf:acme/tiny" })).source, `hf:acme/tiny@${commits.main}`);
      assert.equal((await at("v1", { base })).source, base);
      assert.deepEqual(await baseModelOf(loaded.checkpoint!.files), {
        name: "acme/tiny",
        revision: commits.v1,
      });
      const { model, pretrained } = await open(
        await peftAdapter(sequence, { base_model_name_or_path: "acme/tiny", revision: "v1" }),
      );
      const { files, family } = loaded.checkpoint!;
      const again = await exportPeft(model, {
        pretrained,
        family,
        base: await baseModelOf(files),
        form: "original",
      });
      assert.equal(again.config.revision, commits.v1);
      await assert.rejects(at("v2"), {
        name: "HubError",
        message:
          /^Cannot open "acme\/tiny", which the adapter of .* names as its base model: .*; give .* as --base .*@v2: HF_HUB_OFFLINE/,
      });
      await assert.rejects(
        at("c".repeat(40)),
        /@c{40}: HF_HUB_OFFLINE is set and the cache .* has no such revision/,
      );
      // Read with the weights of that commit.
      const weights = async ({ encoder }: typeof loaded) =>
        await encoder.namedParameters().next().value![1].floats();
      assert.notDeepEqual(await weights(loaded), await weights(await at(null)));
    } finally {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    }
  });

  test("openTrained() passes over the revision of a base that is a folder", async () => {
    const { loaded } = await open(await peftAdapter(sequence, { revision: "v1" }));
    assert.equal(loaded.source, base);
  });

  test("openTrained() offers --base where the adapter's own isn't here", async () => {
    const cwd = process.cwd();
    for (const name of ["/home/someone/models/bert-tiny", "./none", "..\\base", "C:\\models\\bert"]) {
      const place = await peftAdapter(sequence, { base_model_name_or_path: name });
      const where = name.startsWith("/") ? "here" : `in ${cwd}`;
      await assert.rejects(open(place), {
        name: "ConfigError",
        message:
          `Cannot use the adapter of ${place}: its base model is the path ${
            JSON.stringify(name)
          }, and there is ` +
          `no such folder ${where}; give the folder or hf:owner/name of that model as --base`,
      });
      assert.equal((await open(place, { base })).loaded.source, base);
    }
    const beside = await peftAdapter(sequence, { base_model_name_or_path: "./base" });
    await assert.rejects(open(beside), (error: Error) => {
      assert.ok(error.message.endsWith(`no such folder in ${cwd}; if it is ${base}, give that as --base`));
      return true;
    });
    await assert.rejects(open(await peftAdapter(sequence, { base_model_name_or_path: null })), {
      message: /it doesn't name its base model; give --base$/,
    });
    await assert.rejects(open(await peftAdapter(sequence), { base: join(folder, "none") }), {
      message: /none": there is no such folder/,
    });
  });

  test("openTrained() takes the task from task_type and the base's problem_type", async () => {
    const kind = async (problem_type: string | undefined, labels: readonly string[]) => {
      const task = createTask("multi-label-classification", { labels }) as Task;
      const changed = await otherBase({ ...problem_type !== undefined && { problem_type } });
      const { model, description } = await open(await peftAdapter(task), { base: changed });
      assert.equal(model.task.kind, description.task.kind);
      return model.task.kind;
    };
    assert.equal(await kind(undefined, three), "sequence-classification");
    assert.equal(await kind(undefined, ["a"]), "regression");
    assert.equal(await kind("single_label_classification", three), "sequence-classification");
    assert.equal(await kind("multi_label_classification", three), "multi-label-classification");
    assert.equal(await kind("multi_label_classification", ["a"]), "multi-label-classification");
    assert.equal(await kind("regression", three), "regression");
    await assert.rejects(kind("ranking", three), /problem_type .* must be one of .*, got "ranking"/);
    const tags = createTask("token-classification", { labels: ["O", "B-x", "I-x"] }) as Task;
    assert.equal((await open(await peftAdapter(tags))).model.task.kind, "token-classification");
    const questions = createTask("question-answering", {}) as Task;
    const { description } = await open(await peftAdapter(questions, { task_type: "QUESTION_ANS" }));
    assert.deepEqual(description.task, { kind: "question-answering", maxAnswerLength: 30, nBest: 20 });
  });

  test("openTrained() leaves token types out of questions where PEFT's class for task_type does", async () => {
    // peft 0.21: PeftModelForQuestionAnswering.forward() doesn't pass token_type_ids on to the model.
    const questions = createTask("question-answering", {}) as Task;
    const untyped = await peftAdapter(questions, { task_type: "QUESTION_ANS" });
    const ofPair = ({ tokenizer }: Awaited<ReturnType<typeof open>>) =>
      tokenizer.encodePair("win", "a prize", { maxLength: 16, stride: 4 });
    const [window] = ofPair(await open(untyped));
    assert.deepEqual(window!.tokenTypeIds, [0, 0, 0, 0, 0, 0]);
    assert.match(reporter.lines.at(-1)!, /^Question and context both have the token type 0, as PEFT's class/);
    // Adapters that were exported here pass them on, by the class for task_type null.
    const typed = await peftAdapter(questions);
    assert.equal(JSON.parse(await readFile(join(typed, "adapter_config.json"), "utf8")).task_type, null);
    const [own] = ofPair(await open(typed, { task: "question-answering" }));
    assert.deepEqual(own, { ...window, tokenTypeIds: [0, 0, 0, 1, 1, 1] });
  });

  test("openTrained() takes the task of an adapter without task_type from its base's class, or from --task", async () => {
    const ofClass = (name: string) => ({
      base_model_class: name,
      parent_library: "transformers.models.bert",
    });
    const none = await peftAdapter(sequence, { task_type: null });
    await assert.rejects(open(none), {
      name: "ConfigError",
      message:
        /its adapter_config\.json has no task_type; use --task to say what it was trained for, one of sequence-cl/,
    });
    assert.equal(
      (await open(none, { task: "multi-label-classification" })).model.task.kind,
      "multi-label-classification",
    );
    const classed = { task_type: null, auto_mapping: ofClass("BertForSequenceClassification") };
    const place = await peftAdapter(sequence, classed);
    assert.equal((await open(place)).model.task.kind, "sequence-classification");
    assert.equal((await open(place, { task: "regression" })).model.task.kind, "regression");
    await assert.rejects(open(place, { task: "token-classification" }), {
      message: /for token-classification: its base was a "BertForSequenceClassification", which is for seq/,
    });
    await assert.rejects(open(await peftAdapter(sequence), { task: "question-answering" }), {
      message:
        /its task_type is SEQ_CLS, which is for sequence-classification or multi-label-classification or regr/,
    });
    const bare = { task_type: null, auto_mapping: ofClass("BertModel") };
    await assert.rejects(open(await peftAdapter(sequence, bare)), /has no task_type; use --task/);
    await assert.rejects(open(await peftAdapter(sequence, { task_type: "CAUSAL_LM" })), {
      message: /its task_type must be SEQ_CLS, TOKEN_CLS, QUESTION_ANS, got "CAUSAL_LM"; use --task/,
    });
  });

  test("openTrained() names outputs as given, as noted, as the base does, or by number", async () => {
    const place = await peftAdapter(sequence);
    const labels = async (settings: TrainedSettings = {}) => (await open(place, settings)).model.task.labels;
    assert.deepEqual(await labels(), ["LABEL_0", "LABEL_1", "LABEL_2"]);
    const renamed = await otherBase(named);
    assert.deepEqual(await labels({ base: renamed }), ["x", "y", "z"]);
    const two = await otherBase({ id2label: { 0: "x", 1: "y" } });
    assert.deepEqual(await labels({ base: two }), ["LABEL_0", "LABEL_1", "LABEL_2"]);
    await writeTaskNote(place, {
      task: { kind: "multi-label-classification", threshold: 0.25 },
      labels: three,
      maxLength: 9,
    });
    const { description } = await open(place, { base: renamed });
    assert.deepEqual(description.labels, three);
    assert.deepEqual(description.task, { kind: "multi-label-classification", threshold: 0.25 });
    assert.equal(description.maxLength, 9);
    const { description: given } = await open(place, {
      labels: ["p", "q", "r"],
      maxLength: 12,
      task: "sequence-classification",
    });
    assert.deepEqual([given.labels, given.maxLength], [["p", "q", "r"], 12]);
    assert.deepEqual(given.task, { kind: "sequence-classification" });
    await assert.rejects(labels({ labels: ["p", "q"] }), /its head has 3 outputs, and --labels names 2$/);
    await assert.rejects(labels({ labels: ["p", "q", "p"] }), /--labels names "p" twice$/);
    await assert.rejects(
      labels({ maxLength: 33 }),
      /texts of 33 tokens: the encoder reads at most 32; lower --max-length$/,
    );
    await writeTaskNote(place, { task: { kind: "regression" }, labels: ["a"], maxLength: 9 });
    await assert.rejects(labels(), /its head has 3 outputs, and its federa_task\.json names 1$/);
    const questions = await peftAdapter(createTask("question-answering", {}) as Task, {
      task_type: "QUESTION_ANS",
    });
    await assert.rejects(
      open(questions, { labels: ["s", "e"] }),
      /question-answering always names them start and end; leave out --labels/,
    );
  });

  test("openTrained() takes a head that the adapter leaves out from the base, outputs and all", async () => {
    const place = await peftAdapter(sequence, { modules_to_save: null });
    const path = join(place, "adapter_model.safetensors");
    const { tensors } = readSafetensors(await readFile(path));
    const head = [...tensors].filter(([name]) => name.includes("classifier"));
    for (const [name] of head) tensors.delete(name);
    await writeFile(path, encodeSafetensors(tensors));
    await assert.rejects(open(place), /neither it nor its base .*base holds a head/);
    const whole = await otherBase(named);
    const weights = readSafetensors(await readFile(join(whole, "model.safetensors"))).tensors;
    for (const [name, stored] of head) weights.set(name.replace("base_model.model.", ""), stored);
    await writeFile(join(whole, "model.safetensors"), encodeSafetensors(weights));
    const { model } = await open(place, { base: whole });
    assert.deepEqual(model.task.labels, ["x", "y", "z"]);
    assert.deepEqual(
      await model.head.output.weight.floats(),
      head.find(([name]) => name.endsWith("weight"))![1].data,
    );
  });
});

describe("openTrained() of what a run left", () => {
  const config = { model: { source: base }, precision: "f32", task: sequence.kind, maxLength: 8 } as const;

  /** A folder that a run leaves for a method. */
  async function trainedFolder(): Promise<string> {
    const place = join(folder, `runs-${made++}`, "r-001", "federa");
    const { model, pretrained } = await adapted(sequence);
    await mkdir(place, { recursive: true });
    await writeModelFolder(place, model, {
      pretrained,
      config: { ...config, task: { kind: "sequence-classification" } },
    });
    return place;
  }

  test("openTrained() takes --base, --labels and --max-length, and keeps the numbering", async () => {
    const place = await trainedFolder();
    const moved = await otherBase({});
    const { description } = await open(place);
    assert.deepEqual([description.labels, description.maxLength, description.model.source], [three, 8, base]);
    const { description: given } = await open(place, { base: moved, labels: ["p", "q", "r"], maxLength: 16 });
    assert.deepEqual([given.labels, given.maxLength, given.model.source], [["p", "q", "r"], 16, moved]);
    await assert.rejects(
      open(place, { labels: ["p", "q"] }),
      /its head has 3 outputs, and --labels names 2$/,
    );
    await assert.rejects(open(place, { labels: ["p", "p", "q"] }), /--labels names "p" twice$/);
    await assert.rejects(open(place, { maxLength: 33 }), /the encoder reads at most 32; lower --max-length$/);
    await assert.rejects(open(place, { task: "regression" }), /was trained for sequence-classification$/);
  });

  test("openTrained() refuses another base than the one that it was trained on", async () => {
    const place = await trainedFolder();
    // Nothing that is adapted differs.
    const other = await otherBase({});
    const path = join(other, "model.safetensors");
    const { tensors } = readSafetensors(await readFile(path));
    const name = [...tensors.keys()].find((each) => each.endsWith("word_embeddings.weight"))!;
    const { shape, data } = tensors.get(name)!;
    tensors.set(name, { dtype: "F32", shape, data: (data as Float32Array).map((value) => 1.001 * value) });
    await writeFile(path, encodeSafetensors(tensors));
    await assert.rejects(open(place, { base: other }), {
      name: "AdapterMismatchError",
      message: /it was trained on an encoder with other weights; give that one as --base$/,
    });
    const description = join(place, "federa.json");
    const { fingerprint: _, ...old } = JSON.parse(await readFile(description, "utf8"));
    await writeFile(description, JSON.stringify(old));
    reporter.lines.length = 0;
    await open(place, { base: other });
    assert.match(reporter.lines.join("\n"), /Nothing in .*federa says whether it was trained on /);
    await writeFile(description, JSON.stringify({ ...old, model: { source: "/nowhere/bert" } }));
    await assert.rejects(open(place), {
      name: "ConfigError",
      message:
        /it was trained on the model in "\/nowhere\/bert", and there is no such folder here; give .* as --base/,
    });
  });

  test("openTrained() names the folder that was meant, or what is missing", async () => {
    const place = await trainedFolder();
    const run = join(place, "..");
    await writeFile(join(run, "config.json"), "{}");
    await mkdir(join(run, "fft"));
    await writeFile(join(run, "fft", "history.jsonl"), "");
    const adapters = join(folder, `several-${made++}`);
    await cp(await peftAdapter(sequence), join(adapters, "other"), { recursive: true });
    const files = async (...names: string[]) => {
      const made_ = join(folder, `files-${made++}`);
      await mkdir(made_);
      for (const name of names) await writeFile(join(made_, name), '{"peft_type": "LORA"}');
      return made_;
    };
    const cases: [string, RegExp][] = [
      [run, /models are in subfolders; give one of [^ ]*r-001\/federa$/],
      [join(run, ".."), /models are in subfolders; give one of [^ ]*r-001\/federa$/],
      [adapters, /models are in subfolders; give one of [^ ]*\/other$/],
      [join(run, "fft"), /has no federa\.json: the method hasn't ended yet, or failed or was interrupted/],
      [join(place, "federa.json"), /it is not a folder; give .*federa, the folder that holds it$/],
      [
        await files("adapter_model.bin"),
        /it has adapter_model\.bin but no adapter_config\.json, which names the base/,
      ],
      [
        await files("adapter_model.safetensors"),
        /it has adapter_model\.safetensors but no adapter_config\.json/,
      ],
      [
        await files("model.safetensors"),
        /it has model\.safetensors but no config\.json, which describes the model/,
      ],
      [
        await files("trainer_state.json"),
        /it has neither federa\.json.* nor the config\.json of a whole model$/,
      ],
      [await files("adapter_config.json"), /there is no adapter_model\.safetensors$/],
    ];
    for (const [given, expected] of cases) {
      await assert.rejects(open(given), (error: Error) => {
        assert.match(error.message, expected);
        return true;
      });
    }
  });
});

describe("openTrained() of a whole model", () => {
  test("openTrained() takes other labels and a task like its own, and no other base", async () => {
    const { model, loaded } = await adapted(sequence);
    const place = join(folder, "whole");
    await writeCheckpoint(place, model, { ...loaded.checkpoint!, weights: "merged" });
    const found = await open(place);
    assert.deepEqual(found.description, {
      model: { source: place },
      precision: "f32",
      task: { kind: "sequence-classification" },
      labels: three,
      maxLength: 32,
    });
    const { model: other, description } = await open(place, {
      labels: ["p", "q", "r"],
      task: "multi-label-classification",
      maxLength: 7,
    });
    assert.deepEqual([other.task.kind, other.task.labels], ["multi-label-classification", ["p", "q", "r"]]);
    assert.equal(description.maxLength, 7);
    await assert.rejects(open(place, { base }), /it is a whole model; leave out --base$/);
    await assert.rejects(open(place, { labels: ["p"] }), /its head has 3 outputs, and --labels names 1$/);
    await assert.rejects(open(place, { task: "token-classification" }), {
      message: /for token-classification: its config\.json says that it is for sequence-classification$/,
    });
    await writeTaskNote(place, {
      task: { kind: "multi-label-classification", threshold: 0.2 },
      labels: three,
      maxLength: 8,
    });
    const noted = await open(place);
    assert.deepEqual(noted.description.task, { kind: "sequence-classification" });
    assert.equal(noted.description.maxLength, 8);
  });
});
