import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseConfig } from "../../../src/experiment/config/parse_config.ts";
import { run } from "../../../src/cli/run.ts";
import { evaluate } from "../../../src/cli/trained/evaluate.ts";
import { mergeModel } from "../../../src/cli/trained/merge.ts";
import { predict } from "../../../src/cli/trained/predict.ts";
import { checkReadingFlags } from "../../../src/cli/trained/reading.ts";
import { writeTinyCheckpoint } from "../../support/tiny_checkpoint.ts";
import { KeepingReporter } from "../../experiment/trained/adapted_model.ts";

const folder = await mkdtemp(join(tmpdir(), "federa-reading-"));
after(() => rm(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);
await writeTinyCheckpoint(at("bert"), { seed: 1 });

/** Cells between quotation marks, which the run takes for a part of the texts; one is too long. */
const texts = Array.from({ length: 16 }, (_, i) => `"${i % 2 ? "win a prize" : "minutes of meeting"} ${i}"`);
const long = "win a free prize number ".repeat(8).trim();
const table = (rows: readonly string[]) =>
  `sentence;topic;who\n${rows.map((row, i) => `${row};t${i % 2};${i % 3}\n`).join("")}`;
await writeFile(at("train.txt"), table([...texts, long]), "latin1");
await writeFile(at("test.txt"), table(texts.slice(0, 6)), "latin1");

const reporter = new KeepingReporter();
const folderOfRun = await run(
  parseConfig({
    name: "read",
    model: at("bert"),
    data: {
      kind: "files",
      train: at("train.txt"),
      test: at("test.txt"),
      format: "csv",
      quotes: false,
      delimiter: ";",
      encoding: "latin1",
      columns: { text: "sentence", label: "topic", key: "who" },
      validationShare: 0,
    },
    maxLength: 20,
    partition: { kind: "by-key" },
    methods: [{ method: "fft", learningRate: 0.05 }],
    rounds: 1,
    local: { steps: 2 },
    output: at("runs"),
  }),
  { reporter },
);
const own = join(folderOfRun, "fft");

test("run() says how many texts were cut", () => {
  assert.ok(
    reporter.lines.includes("1 of 17 texts to train on was longer than 20 tokens and was cut (maxLength)"),
  );
  assert.ok(!reporter.lines.some((line) => line.includes("to test on were")));
});

test("evaluate() reads a file as the run did, unless it's told otherwise", async () => {
  const { methods: [{ after: last }] } = JSON.parse(
    await readFile(join(folderOfRun, "summary.json"), "utf8"),
  ) as {
    methods: [{ after: { loss: number; scores: object } }];
  };
  const found = await evaluate(own, { reporter, data: at("test.txt") });
  assert.deepEqual(found, { numExamples: 6, ...last });
  const unquoted = await evaluate(own, { reporter, data: at("test.txt"), quotes: true });
  assert.notEqual(unquoted.loss, found.loss);

  await writeFile(
    at("other.tsv"),
    `text\ttopic\n${texts.slice(0, 6).map((text, i) => `${text}\tt${i % 2}\n`).join("")}`,
  );
  const data = at("other.tsv");
  const options = { reporter, data, format: "tsv", delimiter: "\\t", column: { text: "text" } } as const;
  assert.deepEqual(await evaluate(own, options), found);
  // What the run's files had between their values is nothing to a format without such.
  const rows = texts.slice(0, 6).map((sentence, i) =>
    `${JSON.stringify({ sentence, topic: `t${i % 2}` })}\n`
  );
  await writeFile(at("other.jsonl"), rows.join(""));
  assert.deepEqual(await evaluate(own, { reporter, data: at("other.jsonl"), format: "jsonl" }), found);
  await assert.rejects(
    evaluate(own, { reporter, data: at("other.jsonl"), format: "jsonl", delimiter: ";" }),
    /delimiter doesn't apply to the format jsonl; leave it out/,
  );
  await assert.rejects(evaluate(own, { ...options, delimiter: "ab" }), {
    name: "ConfigError",
    message: /delimiter: expected one character/,
  });
  await assert.rejects(evaluate(own, { ...options, column: { tags: "x" } }), {
    name: "ConfigError",
    message: /Cannot use the columns: tags plays no part in sequence-classification/,
  });
});

test("evaluate() refuses a label that the model hasn't, by file and line", async () => {
  await writeFile(at("odd.txt"), "sentence;topic\na;t0\nb;t2\nc;t3\n");
  const said = reporter.lines.length;
  await assert.rejects(evaluate(own, { reporter, data: at("odd.txt") }), {
    name: "ConfigError",
    message:
      `Cannot use line 3 of ${at("odd.txt")}: its class "t2" isn't among the model's labels: t0, t1; ` +
      "1 more example has such a class; use --labels to name the model's labels as the file does, or correct the file",
  });
  assert.equal(reporter.lines.length, said, "before a device is opened and a model loaded");
  await assert.rejects(evaluate(own, { reporter, data: at("gone.txt") }), {
    name: "ConfigError",
    message: /Cannot read examples: ENOENT.*gone\.txt/,
  });
});

test("predict() reads texts of a file as the run did, without labels, and says what was cut", async () => {
  await writeFile(at("unlabelled.txt"), `id;sentence\n1;${texts[0]}\n2;${long}\n`);
  reporter.lines.length = 0;
  const found = await predict(own, [], { reporter, file: at("unlabelled.txt") });
  assert.deepEqual(found.map(({ text }) => text), [texts[0], long]);
  assert.deepEqual(found, await predict(own, [texts[0]!, long], { reporter }));
  assert.deepEqual(reporter.lines.filter((line) => line.includes("cut")), [
    "1 of 2 texts was longer than 20 tokens and was cut (maxLength)",
    "1 of 2 texts was longer than 20 tokens and was cut (maxLength)",
  ]);
});

test("a whole model reads as many tokens as its encoder and its tokenizer allow", async () => {
  const whole = at("whole");
  await mergeModel(own, { reporter, output: whole });
  await rm(join(whole, "federa_task.json"), { force: true });
  reporter.lines.length = 0;
  const cut = async (count: number) => {
    await predict(whole, [long], { reporter });
    assert.equal(
      reporter.lines.at(-1),
      `1 of 1 texts was longer than ${count} tokens and was cut (maxLength)`,
    );
  };
  await cut(32);
  await writeFile(join(whole, "tokenizer_config.json"), JSON.stringify({ model_max_length: 25 }));
  await cut(25);
});

test("checkReadingFlags() refuses options of a file where there is none", () => {
  const refused = (name: string) => ({
    message: `Cannot use --${name} without --file: it says how a file is read`,
  });
  assert.throws(() => checkReadingFlags({ format: "csv" }, { texts: true }), refused("format"));
  assert.throws(() => checkReadingFlags({ quotes: false }, { texts: false }), refused("no-quotes"));
  assert.throws(() => checkReadingFlags({ encoding: "latin1" }, { texts: true }), refused("encoding"));
  checkReadingFlags({ encoding: "latin1" }, { texts: false });
  checkReadingFlags({ file: "a.csv", format: "csv", quotes: false }, { texts: false });
});
