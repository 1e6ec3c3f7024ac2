import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  classification,
  multiLabelClassification,
  type OutputReader,
  questionAnswering,
  readOutputs,
  regression,
  scoresWithThreshold,
  type Task,
  type TaskSet,
  tokenClassification,
  tuneNoAnswerThreshold,
} from "../../src/tasks/mod.ts";
import { FakeTokenizer } from "../support/fake_tokenizer.ts";
import { Random } from "../support/random.ts";

const words = "the old dog ran far away".split(" ");
const labels = ["a", "b", "c"];
const textOf = (i: number) => words.slice(0, 1 + i % words.length).join(" ");
const questions = Array.from({ length: 7 }, (_, i) => ({
  id: `${i}`,
  question: "x",
  context: words.map((_, k) => words[(k + i) % words.length]).join(" "),
  answers: i % 3 === 0 ? [] : [{ text: words[i % words.length]!, start: 0 }],
}));

/** A set of each kind of task; texts of questions are seen through several windows. */
const cases: Readonly<Record<string, { readonly task: Task; readonly set: TaskSet }>> = Object.fromEntries(
  [
    [classification({ labels }), (i: number) => ({ text: textOf(i), label: labels[i % 2]! })],
    [multiLabelClassification({ labels }), (i: number) => ({ text: textOf(i), labels: labels.slice(i % 3) })],
    [regression({ labels }), (i: number) => ({ text: textOf(i), value: [i, Math.sin(i), -i * i] })],
    [tokenClassification({ labels: ["O", "B-X", "I-X"] }), (i: number) => ({
      tokens: textOf(i).split(" "),
      tags: textOf(i).split(" ").map((_, k) => ["O", "B-X", "I-X"][(i + k) % 3]!),
    })],
    [questionAnswering({ stride: 2, nBest: 3 }), (i: number) => questions[i]!],
    [questionAnswering({ stride: 2, nBest: 3, noAnswerThreshold: 0.5 }), (i: number) => questions[i]!],
  ].map(([task, example], k) => {
    const examples = Array.from(
      { length: questions.length },
      (_, i) => (example as (i: number) => unknown)(i),
    );
    const set = (task as Task).prepare(examples, new FakeTokenizer(), { maxLength: 9 });
    return [`${k} ${(task as Task).kind}`, { task: task as Task, set }];
  }),
);

/** Outputs of all rows, few of them different so that many are equally good, 0 for padding. */
function drawOutputs({ task, set }: { task: Task; set: TaskSet }, seed: number): Float32Array {
  const random = new Random(seed);
  const width = task.labels.length;
  const all = new Float32Array(set.size * (task.perToken ? set.length : 1) * width);
  return all.map((_, i) =>
    task.perToken && set.inputs.attentionMask!.data[Math.floor(i / width)] === 0 ? 0 : random.integer(4)
  );
}

/** Reads rows in an order of their own, those of tokens without some or all of the padding. */
function readShuffled<Result>(
  reader: OutputReader<Result>,
  { task, set, outputs, seed }: { task: Task; set: TaskSet; outputs: Float32Array; seed: number },
): Result {
  const random = new Random(seed);
  const order = Array.from({ length: set.size }, (_, row) => row);
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  const width = outputs.length / set.size;
  for (const row of order) {
    const mask = set.inputs.attentionMask!.data.subarray(row * set.length, (row + 1) * set.length);
    const tokens = mask.lastIndexOf(1) + 1;
    const kept = task.perToken
      ? (tokens + random.integer(set.length - tokens + 1)) * task.labels.length
      : width;
    const own = outputs.slice(row * width, row * width + kept);
    reader.add(row, own);
    // The caller may use the memory for something else.
    own.fill(NaN);
  }
  return reader.finish();
}

for (const [name, each] of Object.entries(cases)) {
  const { task, set } = each;
  describe(`predictor() and scorer() of ${name}`, () => {
    it("give the same for rows in any order, with or without padding, and keep no outputs", () => {
      fc.assert(
        fc.property(fc.nat(), fc.nat(), (seed, orderSeed) => {
          const outputs = drawOutputs(each, seed);
          const shuffled = { ...each, outputs, seed: orderSeed };
          assert.deepEqual(
            readShuffled(task.predictor(set), shuffled),
            readOutputs(task.predictor(set), set, outputs),
          );
          assert.deepEqual(
            readShuffled(task.scorer(set), shuffled),
            readOutputs(task.scorer(set), set, outputs),
          );
        }),
        { numRuns: 50 },
      );
    });

    it("refuse rows that are missing, given twice, or of another set", () => {
      const outputs = drawOutputs(each, 1);
      const row = outputs.subarray(0, outputs.length / set.size);
      for (const open of [() => task.predictor(set), () => task.scorer(set)] as const) {
        const reader = open();
        reader.add(1, row);
        assert.throws(() => reader.finish(), {
          name: "RangeError",
          message: `Cannot read outputs: expected each of ${set.size} rows, row 0 is missing`,
        });
        assert.throws(() => reader.add(1, row), {
          name: "RangeError",
          message: `Cannot read outputs: expected each of ${set.size} rows once, got row 1 again`,
        });
        for (const other of [set.size, -1, 0.5]) {
          assert.throws(() => reader.add(other, row), {
            name: "RangeError",
            message: `Cannot read outputs: expected each of ${set.size} rows once, got row ${other}`,
          });
        }
        assert.throws(() => reader.add(0, new Float32Array(row.length + 1)), {
          name: "TypeError",
          message: /^Cannot read outputs of row 0: expected /,
        });
        assert.throws(() => reader.add(0, row.map(() => Infinity)), {
          name: "NonFiniteError",
          message: "Cannot read outputs: row 0 must be finite, got Infinity",
        });
      }
    });
  });
}

describe("scoresWithThreshold()", () => {
  it("gives the scores of the task with that threshold, whatever threshold predictions are by", () => {
    const all = (noAnswerThreshold?: number) => questionAnswering({ stride: 2, noAnswerThreshold });
    const set = all().prepare(questions, new FakeTokenizer(), { maxLength: 9 });
    fc.assert(
      fc.property(
        fc.nat(),
        fc.constantFrom(undefined, -2, 0, 3),
        fc.constantFrom(-3, -1, 0, 1, 9),
        (seed, by, at) => {
          const outputs = drawOutputs({ task: all() as Task, set }, seed);
          const predictions = readOutputs(all(by).predictor(set), set, outputs);
          const scores = readOutputs(all(at).scorer(set), set, outputs);
          assert.deepEqual(scoresWithThreshold(set, predictions, { noAnswerThreshold: at }), scores);
          const tuned = tuneNoAnswerThreshold(set, predictions);
          const best = scoresWithThreshold(set, predictions, { noAnswerThreshold: tuned.threshold })["f1"]!;
          assert.ok(Math.abs(best - tuned.score) < 1e-12 && best >= scores["f1"]! - 1e-12);
        },
      ),
      { numRuns: 60 },
    );
  });
});
