import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { readSafetensors } from "../../../src/models/mod.ts";
import { writeTinyCheckpoint } from "../../support/tiny_checkpoint.ts";
import { federa } from "../federa_command.ts";

const people = ["ada", "paul"];
const places = ["paris", "london"];
const pairs = people.flatMap((person) => places.map((place) => ({ person, place })));
const data = {
  "sequence-classification": Array.from({ length: 12 }, (_, i) => ({
    text: i % 3 === 0 ? `win a free prize number ${i}` : `minutes of meeting ${i}`,
    label: i % 3 === 0 ? "spam" : "ham",
  })),
  "token-classification": pairs.map(({ person, place }) => ({
    tokens: [person, "lives", "in", place],
    tags: ["B-PER", "O", "O", "B-LOC"],
  })),
  "question-answering": pairs.map(({ person, place }, i) => ({
    id: `q${i}`,
    question: `where lives ${person} ?`,
    context: `${person} lives in ${place}`,
    answers: { text: [place], answer_start: [`${person} lives in `.length] },
  })),
};

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "federa-trained-"));
  await writeTinyCheckpoint(join(folder, "checkpoint"), { seed: 1 });
  for (const [kind, rows] of Object.entries(data)) {
    await writeFile(join(folder, `${kind}.jsonl`), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  }
});
after(() => rm(folder, { recursive: true, force: true }));

/** Trains a method for two rounds; the folder of its model. */
async function train(
  kind: keyof typeof data,
  method: string,
  { model = "checkpoint", says = new RegExp(kind.replace("-", " ")) } = {},
): Promise<string> {
  const config = {
    name: kind,
    model,
    task: kind,
    data: { kind: "files", train: `${kind}.jsonl`, test: `${kind}.jsonl`, validationShare: 0 },
    maxLength: 16,
    partition: { kind: "iid", numClients: 2 },
    methods: [{ method, learningRate: 0.01, ...(method !== "fft" && { rank: 2 }) }],
    rounds: 2,
    local: { steps: 1 },
    batchSize: 2,
    output: join(folder, "runs", method),
  };
  const path = join(folder, `${kind}-${method}.json`);
  await writeFile(path, JSON.stringify(config));
  const { code, stdout, stderr } = await federa("run", path);
  assert.equal(code, 0, stderr);
  assert.match(stdout, says);
  return join(folder, "runs", method, `${kind}-001`, method);
}

/** Probabilities of the classes of a text. */
async function probabilities(adapter: string, text: string, ...rest: string[]) {
  const { code, stdout, stderr } = await federa("predict", "--json", "-a", adapter, ...rest, text);
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as { prediction: { probabilities: Record<string, number> } }).prediction
    .probabilities;
}

test("federa run trains a checkpoint's classifier, which predict, evaluate, export, merge and inspect take up", async () => {
  const adapter = await train("sequence-classification", "federa");
  const file = join(folder, "sequence-classification.jsonl");
  const shares = await probabilities(adapter, "win a prize");
  assert.deepEqual(Object.keys(shares), ["ham", "spam"]);
  assert.ok(Math.abs(shares["ham"]! + shares["spam"]! - 1) <= 1e-12);

  // The last evaluation of the run, on the same examples by the same weights.
  const evaluation = await federa("evaluate", "--json", "-a", adapter, file);
  assert.equal(evaluation.code, 0, evaluation.stderr);
  const { loss, scores } = JSON.parse(evaluation.stdout) as { loss: number; scores: Record<string, number> };
  const history = await readFile(join(adapter, "history.jsonl"), "utf8");
  const { test: last } = JSON.parse(history.trim().split("\n").at(-2)!) as { test: object };
  assert.deepEqual({ loss, scores }, last);

  for (const form of ["original", "converted"]) {
    const output = join(folder, form);
    const exported = await federa("export", "-a", adapter, "-o", output, "--form", form);
    assert.equal(exported.code, 0, exported.stderr);
    const { tensors } = readSafetensors(await readFile(join(output, "adapter_model.safetensors")));
    const name = "base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight";
    assert.deepEqual(tensors.get(name)!.shape, [form === "original" ? 4 : 2, 12]);
    const again = await probabilities(output, "win a prize");
    // The same function from weights that were rounded otherwise: some hundred f32 operations on numbers of a few units.
    for (const label of ["ham", "spam"]) assert.ok(Math.abs(again[label]! - shares[label]!) <= 1e-4, form);
  }

  const merged = join(folder, "merged");
  const merging = await federa("merge", "-a", adapter, "-o", merged);
  assert.equal(merging.code, 0, merging.stderr);
  const config = JSON.parse(await readFile(join(merged, "config.json"), "utf8")) as Record<string, unknown>;
  assert.deepEqual(config["architectures"], ["BertForSequenceClassification"]);
  assert.deepEqual(config["id2label"], { 0: "ham", 1: "spam" });
  const whole = await probabilities(merged, "win a prize");
  for (const label of ["ham", "spam"]) assert.ok(Math.abs(whole[label]! - shares[label]!) <= 1e-4, "merged");

  const inspected = await federa("inspect", join(adapter, "adapter.safetensors"));
  assert.equal(inspected.code, 0, inspected.stderr);
  assert.match(inspected.stdout, /encoder\.encoder\.layer\.1\.output\.dense\s+B·A − B₀·A₀ +\[12, 20\]/);
});

test("federa run pools as a sentence encoder does, says and records it, and merges what is one again", async () => {
  await writeTinyCheckpoint(join(folder, "sentence"), { seed: 1 });
  await mkdir(join(folder, "sentence", "1_Pooling"));
  const pooling = join(folder, "sentence", "1_Pooling", "config.json");
  await writeFile(pooling, JSON.stringify({ pooling_mode_mean_tokens: true }));
  const adapter = await train("sequence-classification", "fedit", {
    model: "sentence",
    says: /^Pooling: mean, as 1_Pooling\/config\.json of .*sentence says$/m,
  });
  for (const path of [join(adapter, "federa.json"), join(adapter, "..", "config.json")]) {
    assert.equal(JSON.parse(await readFile(path, "utf8")).model.pooling, "mean", path);
  }
  const shares = await probabilities(adapter, "win a prize");
  // The record holds, whatever becomes of the checkpoint's folder.
  await writeFile(pooling, JSON.stringify({ pooling_mode_cls_token: true }));
  assert.deepEqual(await probabilities(adapter, "win a prize"), shares);
  const merged = join(folder, "merged-sentence");
  const merging = await federa("merge", "-a", adapter, "-o", merged);
  assert.equal(merging.code, 0, merging.stderr);
  assert.deepEqual(JSON.parse(await readFile(join(merged, "sentence_bert_config.json"), "utf8")), {
    max_seq_length: 16,
    do_lower_case: false,
  });
  const exported = join(folder, "exported-sentence");
  const exporting = await federa("export", "-a", adapter, "-o", exported);
  assert.equal(exporting.code, 0, exporting.stderr);
  for (const other of [merged, exported]) {
    const again = await probabilities(other, "win a prize");
    for (const label of ["ham", "spam"]) assert.ok(Math.abs(again[label]! - shares[label]!) <= 1e-4, other);
  }
});

test("federa run tags words, and predict names the entities", async () => {
  const adapter = await train("token-classification", "fft");
  const { code, stdout, stderr } = await federa("predict", "--json", "-a", adapter, "ada lives in paris");
  assert.equal(code, 0, stderr);
  const { prediction } = JSON.parse(stdout) as { prediction: { tags: string[] } };
  assert.equal(prediction.tags.length, 4);
  assert.ok(prediction.tags.every((tag) => ["O", "B-LOC", "B-PER"].includes(tag)));
});

test("federa run answers questions, and predict needs one", async () => {
  const adapter = await train("question-answering", "ffa-lora");
  const context = "paul lives in london";
  const asked = await federa("predict", "--json", "-a", adapter, "--question", "where lives paul ?", context);
  assert.equal(asked.code, 0, asked.stderr);
  const { prediction } = JSON.parse(asked.stdout) as { prediction: { text: string } };
  assert.ok(context.includes(prediction.text) && prediction.text !== "");
  const unasked = await federa("predict", "-a", adapter, context);
  assert.equal(unasked.code, 1);
  assert.match(unasked.stderr, /Cannot predict by question-answering: there is no question, give --question/);
  await rm(join(adapter, "adapter.safetensors"));
  const bare = await federa("predict", "-a", adapter, "--question", "who ?", context);
  assert.match(bare.stderr, /Cannot read .*adapter\.safetensors: ENOENT/);
  assert.doesNotMatch(bare.stderr, /\n {4}at /);
});

test("the commands on trained models name what is wrong", async () => {
  await mkdir(join(folder, "empty"));
  const cases: [string[], RegExp][] = [
    [
      ["predict", "-a", join(folder, "nowhere"), "x"],
      /Cannot open a trained model in .*nowhere: there is no such folder/,
    ],
    [
      ["predict", "-a", join(folder, "empty"), "x"],
      /it has neither federa\.json.* nor adapter_config\.json.* nor the config\.json/,
    ],
    [["predict", "x"], /required option '-a, --adapter <FOLDER>' not specified/],
    [["export", "-a", folder, "-o", "y", "--form", "other"], /Allowed choices are original, converted/],
    [["inspect", join(folder, "checkpoint", "config.json")], /Cannot read .*config\.json: the header/],
    [["evaluate", "-a", folder, "--column", "txt=a", "f"], /did you mean "text"\?/],
  ];
  for (const [args, expected] of cases) {
    const { code, stderr } = await federa(...args);
    assert.equal(code, 1, args.join(" "));
    assert.match(stderr, expected);
    assert.doesNotMatch(stderr, /\n {4}at /);
  }
});
