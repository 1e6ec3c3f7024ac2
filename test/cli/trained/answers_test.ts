import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseConfig } from "../../../src/experiment/config/parse_config.ts";
import { run } from "../../../src/cli/run.ts";
import { evaluate } from "../../../src/cli/trained/evaluate.ts";
import { predict } from "../../../src/cli/trained/predict.ts";
import { writeTaskNote } from "../../../src/experiment/trained/task_note.ts";
import type { AnswerPrediction, Scores } from "../../../src/tasks/mod.ts";
import { assertClose } from "../../support/compare.ts";
import { questionsFolder, questionsReference as reference } from "../../support/golden_questions.ts";

const folder = await mkdtemp(join(tmpdir(), "federa-answers-"));
after(() => rm(folder, { recursive: true, force: true }));
const whole = join(questionsFolder, "model");
const data = join(questionsFolder, "questions.jsonl");

/** A reporter that keeps what is said. */
function listener() {
  const lines: string[] = [];
  return { lines, reporter: { line: (text: string) => lines.push(text), progress() {}, endProgress() {} } };
}

/** Scores by the names that SQuAD's script has for them, in per cent. */
function squadScores(
  { f1, exactMatch, hasAnswerF1, hasAnswerExactMatch, noAnswerAccuracy }: Scores,
): number[] {
  return [exactMatch, f1, hasAnswerExactMatch, hasAnswerF1, noAnswerAccuracy, noAnswerAccuracy]
    .map((share) => 100 * share!);
}

test("evaluate() of a whole model lets it answer nothing, by 0 where no threshold is given, as SQuAD 2's script", async () => {
  const { lines, reporter } = listener();
  const options = { reporter, data, maxLength: reference.maxLength };
  const found = await evaluate(whole, options);
  assertClose(squadScores(found.scores), Object.values(reference.scores), { absolute: 1e-9 });
  assertClose([found.loss], [reference.loss], { absolute: 2e-6 });
  assert.equal(found.noAnswerThreshold, 0);
  assert.ok(
    lines.some((line) =>
      line.startsWith("12 of 60 questions have no answer: the model gives none where that scores higher")
    ),
  );

  const tuned = await evaluate(whole, { ...options, tuneNoAnswer: true });
  assertClose([tuned.noAnswerThreshold!], [reference.bestThreshold], { absolute: 1e-4 });
  assertClose(squadScores(tuned.scores), Object.values(reference.tuned), { absolute: 1e-9 });
  assert.match(
    lines.at(-1)!,
    /The threshold can't be stored in .*: pass --no-answer-threshold 0\.042\d* to predict/,
  );
  const again = await evaluate(whole, { ...options, noAnswerThreshold: tuned.noAnswerThreshold });
  assert.deepEqual(again, tuned);
  await assert.rejects(evaluate(whole, { ...options, tuneNoAnswer: true, noAnswerThreshold: 1 }), {
    name: "ConfigError",
    message: /leave out --no-answer-threshold/,
  });
});

test("predict() answers a file in its order, and nothing where a threshold is given and none scores more", async () => {
  const { lines, reporter } = listener();
  const options = { reporter, file: data, maxLength: reference.maxLength };
  const answersOf = async (noAnswerThreshold?: number) =>
    (await predict(whole, [], { ...options, noAnswerThreshold })).map(({ prediction }) =>
      prediction as AnswerPrediction
    );
  const always = await answersOf();
  assert.deepEqual(Object.fromEntries(always.map(({ id, text }) => [id, text])), reference.predictions);
  const worse = Object.values(reference.margins).filter((margin) => margin > 0).length;
  assert.deepEqual(lines.slice(1), [
    `${worse} of 60 answers score less than no answer; --no-answer-threshold 0 gives none there`,
  ]);
  const careful = await answersOf(0);
  assert.deepEqual(
    careful.map(({ id, text }) => [id, text]),
    Object.entries(reference.predictions).map(([id, text]) => [id, reference.margins[id]! > 0 ? "" : text]),
  );
  assert.equal(lines.length, 3, "offers nothing more");
  await assert.rejects(predict(whole, ["text"], options), {
    name: "ConfigError",
    message: /leave out the texts/,
  });
  await assert.rejects(predict(whole, [], { ...options, question: "who?" }), {
    name: "ConfigError",
    message: /--file and --question/,
  });
});

test("evaluate() keeps a tuned threshold beside an exported model, and predict() names a long question's line", async () => {
  const noted = join(folder, "noted");
  await cp(whole, noted, { recursive: true });
  const task = { kind: "question-answering", maxAnswerLength: 30, nBest: 20 } as const;
  await writeTaskNote(noted, { task, labels: ["start", "end"], maxLength: reference.maxLength });
  const { lines, reporter } = listener();
  const tuned = await evaluate(noted, { reporter, data, tuneNoAnswer: true });
  assert.equal(lines.at(-1), `Kept noAnswerThreshold ${tuned.noAnswerThreshold} in ${noted}`);
  assert.deepEqual(await evaluate(noted, { reporter, data }), tuned);

  const [first] = (await readFile(data, "utf8")).split("\n");
  const long = { ...JSON.parse(first!) as object, question: "where ".repeat(30) };
  const file = join(folder, "long.jsonl");
  await writeFile(file, [first, JSON.stringify(long)].join("\n"));
  const [, none] = await predict(noted, [], { reporter, file });
  assert.deepEqual(none!.prediction, { id: "q0", text: "", noAnswerMargin: null, candidates: [] });
  assert.equal(
    lines.at(-1),
    `No answer for 1 of 2 questions: it leaves no room for the context in 24 tokens (maxLength); it is line 2 of ${file}`,
  );
});

test("run() tunes the threshold on the validation part, keeps it, and evaluate() goes by it", async () => {
  // Another name for the same encoder: its head is left aside.
  await cp(whole, join(folder, "encoder"), { recursive: true });
  const lines = (await readFile(data, "utf8")).trim().split("\n");
  await writeFile(join(folder, "train.jsonl"), lines.slice(0, 40).join("\n"));
  // One leaves no room for its context.
  const long = { ...JSON.parse(lines[40]!) as object, id: "long", question: "where ".repeat(30) };
  await writeFile(join(folder, "test.jsonl"), [...lines.slice(40), JSON.stringify(long)].join("\n"));
  const { lines: said, reporter } = listener();
  const config = parseConfig({
    name: "squad",
    model: join(folder, "encoder"),
    task: { kind: "question-answering", noAnswerThreshold: "tune" },
    data: {
      kind: "files",
      train: join(folder, "train.jsonl"),
      test: join(folder, "test.jsonl"),
      validationShare: 0.5,
    },
    maxLength: 24,
    partition: { kind: "iid", numClients: 2 },
    methods: [{ method: "fedit", learningRate: 0.03 }],
    rounds: 2,
    local: { steps: 2 },
    output: join(folder, "runs"),
  });
  const path = await run(config, { reporter });
  const own = join(path, "fedit");
  const { task } = JSON.parse(await readFile(join(own, "federa.json"), "utf8")) as {
    task: { noAnswerThreshold: number };
  };
  const summary = JSON.parse(await readFile(join(path, "summary.json"), "utf8")) as {
    methods: [{ after: { loss: number; scores: Scores } }];
  };
  const threshold = task.noAnswerThreshold;
  assert.equal(typeof threshold, "number");
  const shown = said.find((line) => line.includes("tuned on 20 questions of the validation part"));
  assert.ok(shown?.includes(`noAnswerThreshold ${threshold.toFixed(3)}`), said.join("\n"));
  assert.ok(
    said.some((line) => line.startsWith("No answer for 1 of 21 questions: it leaves no room")),
  );
  const evaluated = await evaluate(own, { reporter, data: join(folder, "test.jsonl") });
  assert.deepEqual(evaluated, { numExamples: 21, noAnswerThreshold: threshold, ...summary.methods[0].after });

  // Tuned anew on the test file, the threshold is at least as good there, and kept.
  const tuned = await evaluate(own, { reporter, data: join(folder, "test.jsonl"), tuneNoAnswer: true });
  assert.ok(tuned.scores["f1"]! >= evaluated.scores["f1"]!);
  const after = await evaluate(own, { reporter, data: join(folder, "test.jsonl") });
  assert.deepEqual(after, tuned);
});

test("run() refuses to tune a threshold on questions that all have an answer, or none", async () => {
  const { reporter } = listener();
  const rows = (await readFile(data, "utf8")).trim().split("\n").filter((line) =>
    !line.includes('"text": []')
  );
  await writeFile(join(folder, "answered.jsonl"), rows.join("\n"));
  const config = parseConfig({
    name: "squad",
    model: whole,
    task: { kind: "question-answering", noAnswerThreshold: "tune" },
    data: { kind: "files", train: join(folder, "answered.jsonl"), validationShare: 0.25 },
    partition: { kind: "iid", numClients: 2 },
    methods: [{ method: "fedit", learningRate: 0.03 }],
    rounds: 1,
    output: join(folder, "runs"),
  });
  await assert.rejects(run(config, { reporter }), {
    name: "ConfigError",
    message: "Cannot tune noAnswerThreshold on the validation part: expected questions with an answer and " +
      "questions without, got 12 and 0",
  });
});
