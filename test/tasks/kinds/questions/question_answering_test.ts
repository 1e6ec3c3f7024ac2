import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Tensor } from "../../../../src/engine/mod.ts";
import { questionAnswering, type QuestionSet, readOutputs } from "../../../../src/tasks/mod.ts";
import { F64Array } from "../../../reference/array.ts";
import * as reference from "../../../reference/loss.ts";
import { assertClose } from "../../../support/compare.ts";
import { FakeTokenizer } from "../../../support/fake_tokenizer.ts";
import { bitsOf, evaluate, testGpu, upload, uploadIntegers } from "../../../engine/harness.ts";

const gpu = await testGpu();
const context = "The old dog ran far away";
const ask = (...answers: string[]) => ({
  id: "q",
  question: "who ran",
  context,
  answers: answers.map((text) => ({ text, start: context.indexOf(text) })),
});
/** Windows of four tokens of the context, of which the next repeats one: "The old dog ran", "ran far awa y". */
const task = questionAnswering({ stride: 1 });
const options = { maxLength: 9 };

/** Outputs of 0 but for some: a row, a token, and what it gains as start and as end. */
function outputsOf(
  set: QuestionSet,
  gains: readonly (readonly [row: number, token: number, start: number, end: number])[],
): Float32Array {
  const outputs = new Float32Array(set.size * set.length * 2);
  for (const [row, token, start, end] of gains) {
    const at = (row * set.length + token) * 2;
    outputs[at]! += start;
    outputs[at + 1]! += end;
  }
  return outputs;
}

test("questionAnswering() sees a long context through windows that share a stride", () => {
  const tokenizer = new FakeTokenizer();
  const set = task.prepare([ask("dog"), { ...ask(), context: "no" }], tokenizer, options);
  assert.equal(
    tokenizer.spell(set.inputs.inputIds!.data),
    "[ who ran ] The old dog ran ] [ who ran ] ran far awa y ] [ who ran ] no ] _ _ _",
  );
  assert.deepEqual([...set.inputs.tokenTypeIds!.data.subarray(0, 9)], [0, 0, 0, 0, 1, 1, 1, 1, 1]);
  assert.deepEqual([...set.inputs.attentionMask!.data.subarray(18)], [1, 1, 1, 1, 1, 1, 0, 0, 0]);
  assert.deepEqual([set.numExamples, set.size, set.targetsPerRow], [2, 3, 2]);
  assert.deepEqual(set.firstRows, Uint32Array.of(0, 2, 3));
  // A third of the length of rows by default.
  const [first, second] = [questionAnswering(), questionAnswering({ stride: 3 })].map((each) =>
    each.prepare([ask("dog")], tokenizer, options)
  );
  assert.deepEqual(first!.inputs, second!.inputs);
  assert.notDeepEqual(first!.inputs.inputIds!.data, set.inputs.inputIds!.data.subarray(0, 18));
  const [rounded, whole] = [questionAnswering(), questionAnswering({ stride: 3 })].map((each) =>
    each.prepare([ask("dog")], tokenizer, { maxLength: 11 })
  );
  assert.deepEqual(rounded!.inputs.inputIds!.data, whole!.inputs.inputIds!.data);
});

test("questionAnswering() targets the first and last token of the first answer, or the first token of the row", () => {
  const targets = (...answers: string[]) => [
    ...task.prepare([ask(...answers)], new FakeTokenizer(), options).targets,
  ];
  assert.deepEqual(targets("The", "away"), [4, 4, 0, 0]);
  assert.deepEqual(targets("dog ran"), [6, 7, 0, 0]);
  assert.deepEqual(targets("ran"), [7, 7, 4, 4]);
  // Neither window holds all of these.
  assert.deepEqual(targets("ran far"), [0, 0, 4, 5]);
  assert.deepEqual(targets("dog ran far"), [0, 0, 0, 0]);
  // Parts of tokens, and spaces around.
  assert.deepEqual(targets("wa"), [0, 0, 6, 6]);
  assert.deepEqual(targets(" old "), [5, 5, 0, 0]);
  assert.deepEqual(targets(), [0, 0, 0, 0]);
});

test("questionAnswering() counts characters in UTF-16 units", () => {
  const context = "a 🙂🙂🙂🙂 dog";
  const question = { id: "1", question: "x", context, answers: [{ text: "🙂 dog", start: 8 }] };
  const tokenizer = new FakeTokenizer();
  const set = task.prepare([question], tokenizer, options);
  assert.equal(tokenizer.spell(set.inputs.inputIds!.data), "[ x ] a 🙂🙂🙂 🙂 dog ] _");
  assert.deepEqual([...set.targets], [5, 6]);
  const [prediction] = readOutputs(task.predictor(set), set, outputsOf(set, [[0, 4, 1, 0], [0, 5, 0, 1]]));
  assert.equal(prediction!.text, "🙂🙂🙂🙂");
  assert.deepEqual([prediction!.candidates[0]!.start, prediction!.candidates[0]!.end], [2, 10]);
});

test("questionAnswering()'s losses and their gradients are the oracle's, and padding takes no part", async () => {
  // Two rows of four and three tokens.
  const starts = [[1, 2, -1, 0], [3, 0, 0.5]];
  const ends = [[0, 0, 4, -2], [-1, 1, 2]];
  const targets = F64Array.from([1, 2, 2], [1, 2, 0, 0]);
  const wanted = [0, 1].map((row) =>
    reference.crossEntropy(
      F64Array.fromF32([2, starts[row]!.length], [...starts[row]!, ...ends[row]!]),
      F64Array.from([2], targets.data.slice(2 * row, 2 * row + 2)),
      { reduction: "none" },
    )
  );
  let first: { y: Float32Array; gradients: number[] } | undefined;
  for (const length of [4, 5, 140]) {
    const at = (row: number, token: number) => [starts, ends].map((of) => of[row]![token] ?? 50 + token);
    const cells = [0, 1].flatMap((row) => Array.from({ length }, (_, token) => at(row, token)));
    const attentionMask = F64Array.from(
      [1, 2, length],
      [4, 3].flatMap((n) => cells.slice(0, length).map((_, t) => t < n ? 1 : 0)),
    );
    const { y, shape, dy, gradients: [dx] } = await evaluate(
      gpu,
      (outputs: Tensor) =>
        task.losses(outputs, {
          targets: uploadIntegers(gpu, targets, "i32"),
          inputs: { attentionMask: upload(gpu, attentionMask) },
        }),
      { inputs: [F64Array.fromF32([1, 2, length, 2], cells.flat())] },
    );
    assert.deepEqual(shape, [1, 2, 2]);
    // Losses below 7 from some ten roundings of 6e-8, and exponentials off by 2e-7.
    assertClose(y, wanted.flatMap(({ data }) => [...data]), { absolute: 3e-6 });
    const kept: number[] = [];
    dx!.forEach((value, i) => attentionMask.data[i >> 1] === 1 ? kept.push(value) : assert.ok(value === 0));
    const gradient = [0, 1].flatMap((row) => {
      const n = starts[row]!.length;
      const { data } = reference.crossEntropyGradient(
        F64Array.fromF32([2, n], [...starts[row]!, ...ends[row]!]),
        F64Array.from([2], targets.data.slice(2 * row, 2 * row + 2)),
        F64Array.from([2], dy.data.slice(2 * row, 2 * row + 2)),
        { reduction: "none" },
      );
      return Array.from({ length: n }, (_, t) => [data[t]!, data[n + t]!]).flat();
    });
    assertClose(kept, gradient, { absolute: 3e-6 });
    first ??= { y, gradients: kept };
    assert.deepEqual(bitsOf(y), bitsOf(first.y), "a longer row changes no bit of a loss");
    assert.deepEqual(kept, first.gradients);
  }
});

test("questionAnswering() answers with the span of the best sum over all windows", () => {
  const set = task.prepare([ask("dog")], new FakeTokenizer(), options);
  const answer = (...gains: [number, number, number, number][]) =>
    readOutputs(task.predictor(set), set, outputsOf(set, gains))[0]!;
  assert.equal(answer([0, 5, 3, 0], [0, 6, 0, 3]).text, "old dog");
  assert.equal(answer([0, 5, 3, 0], [0, 6, 0, 3], [1, 5, 4, 3]).text, "far");
  assert.equal(answer([1, 6, 9, 0], [1, 7, 0, 9]).text, "away");
  // Neither the question, nor special tokens, nor an end before its start.
  const outside = [[0, 0, 9, 9], [0, 1, 9, 9], [0, 8, 9, 9]] as [number, number, number, number][];
  assert.equal(answer(...outside, [0, 6, 2, 0], [0, 4, 0, 3], [0, 7, 1, 2]).text, "dog ran");
  const { text, candidates } = answer([0, 4, Math.log(3), 0], [0, 4, 0, 5]);
  assert.equal(text, "The");
  assert.equal(candidates.length, 19, "ten spans of four tokens, twice, and one in both");
  assert.deepEqual(
    candidates.map(({ start, end }) => context.slice(start, end)),
    candidates.map((each) => each.text),
  );
});

test("questionAnswering() gives candidates once each, best first, with probabilities that add up to 1", () => {
  const few = questionAnswering({ stride: 1, nBest: 3 });
  const set = few.prepare([ask("dog")], new FakeTokenizer(), options);
  // "ran" is in both windows, the second time the better one.
  const gains = [[0, 7, 4, 4], [1, 4, 5, 5], [1, 5, 0, Math.log(2) + 3], [0, 6, 0, 0]] as const;
  const { candidates } = readOutputs(few.predictor(set), set, outputsOf(set, gains))[0]!;
  assert.deepEqual(candidates.map(({ text }) => text), ["ran", "ran far", "ran far awa"]);
  assertClose(candidates.map(({ score }) => score), [10, 8 + Math.log(2), 5], { absolute: 1e-6 });
  const weights = [1, 2 * Math.exp(-2), Math.exp(-5)];
  const total = weights.reduce((sum, weight) => sum + weight);
  assertClose(candidates.map(({ probability }) => probability), weights.map((w) => w / total), {
    absolute: 1e-6,
  });
});

test("questionAnswering() gives no answer longer than it may be", () => {
  const short = questionAnswering({ stride: 1, maxAnswerLength: 2 });
  const set = short.prepare([ask("dog")], new FakeTokenizer(), options);
  const outputs = outputsOf(set, [[0, 4, 5, 0], [0, 5, 0, 1], [0, 6, 0, 5], [0, 6, 2, 0]]);
  assert.equal(readOutputs(task.predictor(set), set, outputs)[0]!.text, "The old dog");
  assert.equal(readOutputs(short.predictor(set), set, outputs)[0]!.text, "dog");
});

test("questionAnswering() looks for answers of up to 30 tokens, and gives the 20 best, as transformers does by default", () => {
  const usual = questionAnswering();
  const long = Array.from({ length: 31 }, (_, i) => String.fromCharCode(97 + i % 26)).join(" ");
  const set = usual.prepare([{ ...ask(), context: long }], new FakeTokenizer(), { maxLength: 40 });
  const candidates = (last: number) =>
    readOutputs(usual.predictor(set), set, outputsOf(set, [[0, 4, 5, 0], [0, 4 + last, 0, 5]]))[0]!
      .candidates;
  assert.equal(candidates(29)[0]!.text, long.slice(0, 59));
  assert.deepEqual(candidates(29)[0]!.score, 10);
  assert.equal(candidates(30)[0]!.score, 5);
  assert.equal(candidates(30).length, 20);
});

test("questionAnswering() gives no answer of tokens that stand for no character", () => {
  const set = task.prepare([ask("dog")], new FakeTokenizer(), options);
  // The token of "old" has no width, as a lone "▁" has none.
  const narrow: QuestionSet = { ...set, spans: set.spans.map((spans) => spans.with(5, spans[5] && [4, 4])) };
  const { text, candidates } = readOutputs(
    task.predictor(narrow),
    narrow,
    outputsOf(set, [[0, 5, 3, 3], [0, 6, 4, 4]]),
  )[0]!;
  assert.equal(text, "dog");
  assert.ok(candidates.every((each) => each.text !== ""));
});

test("questionAnswering() gives no answer where the first token's outputs exceed the best by more than a threshold", () => {
  const set = task.prepare([ask("dog")], new FakeTokenizer(), options);
  // No answer scores 5 in the first window and 7 in the second: the least counts. The best span scores 4.
  const outputs = outputsOf(set, [[0, 0, 2, 3], [1, 0, 3, 4], [0, 6, 2, 2]]);
  const of = (noAnswerThreshold: number) =>
    readOutputs(questionAnswering({ stride: 1, noAnswerThreshold }).predictor(set), set, outputs)[0]!;
  assert.equal(readOutputs(task.predictor(set), set, outputs)[0]!.text, "dog");
  assert.equal(readOutputs(task.predictor(set), set, outputs)[0]!.noAnswerMargin, 1);
  assert.equal(of(0).noAnswerMargin, 1);
  assert.equal(of(0).text, "");
  assert.equal(of(0.9).text, "");
  assert.equal(of(1).text, "dog");
  const { candidates } = of(0);
  assert.deepEqual(candidates.slice(0, 2).map(({ text, score }) => [text, score]), [["", 5], ["dog", 4]]);
  assertClose([candidates.reduce((sum, { probability }) => sum + probability, 0)], [1], { absolute: 1e-14 });
  // Of equal scores no answer is the last, as the sort in transformers' utils_qa.py leaves it.
  const even = readOutputs(
    questionAnswering({ stride: 1, noAnswerThreshold: 0 }).predictor(set),
    set,
    outputsOf(set, [[0, 0, 2, 2], [1, 0, 3, 4], [0, 6, 2, 2]]),
  )[0]!;
  assert.deepEqual([even.text, even.noAnswerMargin], ["dog", 0]);
  assert.deepEqual(even.candidates.slice(0, 2).map(({ text }) => text), ["dog", ""]);
  // The last, below all 19 spans: "dog" scores 4, three that begin or end with it 2, and 15 nothing.
  const least = readOutputs(
    questionAnswering({ stride: 1, noAnswerThreshold: 0 }).predictor(set),
    set,
    outputsOf(set, [[0, 0, -2, -3], [0, 6, 2, 0], [0, 6, 0, 2]]),
  )[0]!;
  const { probability, ...worst } = least.candidates.at(-1)!;
  assert.deepEqual([least.candidates.length, worst], [20, { text: "", start: 0, end: 0, score: -5 }]);
  const weights = [Math.exp(4), 3 * Math.exp(2), 15, Math.exp(-5)];
  const total = weights.reduce((sum, weight) => sum + weight);
  assertClose([probability], [Math.exp(-5) / total], { absolute: 1e-12 });
  assert.equal(least.noAnswerMargin, -9);
});

test("questionAnswering() answers nothing from an empty context", () => {
  const set = task.prepare(
    [{ id: "e", question: "x", context: " ", answers: [] }],
    new FakeTokenizer(),
    options,
  );
  const prediction = readOutputs(task.predictor(set), set, new Float32Array(18));
  assert.deepEqual(prediction, [{ id: "e", text: "", noAnswerMargin: null, candidates: [] }]);
  assert.deepEqual(readOutputs(task.scorer(set), set, new Float32Array(18)), { f1: 1, exactMatch: 1 });
});

test("questionAnswering() is scored by F1 and exact match, apart for questions without an answer", () => {
  const careful = questionAnswering({ stride: 1, noAnswerThreshold: 0 });
  const questions = [ask("dog"), ask("far away", "away"), ask(), ask()];
  const set = careful.prepare(questions, new FakeTokenizer(), options);
  // Answers: "dog", "ran far", none, "old".
  const outputs = outputsOf(set, [[0, 6, 3, 3], [3, 4, 3, 0], [3, 5, 0, 3], [4, 0, 3, 3], [5, 0, 3, 3], [
    6,
    5,
    2,
    2,
  ]]);
  assert.deepEqual(readOutputs(careful.predictor(set), set, outputs).map(({ text }) => text), [
    "dog",
    "ran far",
    "",
    "old",
  ]);
  // "ran far" shares one word of two with "far away".
  const scores = readOutputs(careful.scorer(set), set, outputs);
  assert.deepEqual(scores, {
    f1: 2.5 / 4,
    exactMatch: 0.5,
    hasAnswerF1: 0.75,
    hasAnswerExactMatch: 0.5,
    noAnswerAccuracy: 0.5,
  });
  assert.deepEqual(Object.keys(scores), careful.metrics);
  const answerable = careful.prepare(questions.slice(0, 2), new FakeTokenizer(), options);
  assert.deepEqual(
    Object.keys(readOutputs(careful.scorer(answerable), answerable, outputs.subarray(0, 4 * 18))),
    careful.metrics.slice(0, 4),
  );
  assert.deepEqual(task.metrics, ["f1", "exactMatch"]);
  // Apart only where the task tells them apart, and only of the kinds that there are.
  // The third is then answered with "The", which is nothing to SQuAD's script: it drops articles.
  assert.deepEqual(readOutputs(task.predictor(set), set, outputs).map(({ text }) => text), [
    "dog",
    "ran far",
    "The",
    "old",
  ]);
  assert.deepEqual(readOutputs(task.scorer(set), set, outputs), { f1: 2.5 / 4, exactMatch: 0.5 });
  const one = careful.prepare([ask("dog")], new FakeTokenizer(), options);
  const found = { f1: 1, exactMatch: 1, hasAnswerF1: 1, hasAnswerExactMatch: 1 };
  assert.deepEqual(readOutputs(careful.scorer(one), one, outputs.subarray(0, 2 * 18)), found);
  const none = careful.prepare([ask()], new FakeTokenizer(), options);
  assert.deepEqual(readOutputs(careful.scorer(none), none, outputs.subarray(4 * 18, 6 * 18)), {
    f1: 1,
    exactMatch: 1,
    noAnswerAccuracy: 1,
  });
});

test("questionAnswering() finds the targets of any answer back in its context", () => {
  const text = fc.array(fc.constantFrom("a", "bcde", "🙂x", "fghijkl"), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(
      text,
      fc.nat(99),
      fc.nat(99),
      fc.integer({ min: 6, max: 14 }),
      (words, from, count, maxLength) => {
        const context = words.join(" ");
        const first = from % words.length;
        const answer = words.slice(first, first + 1 + count % 3).join(" ");
        const start = words.slice(0, first).reduce((sum, word) => sum + word.length + 1, 0);
        const question = { id: "1", question: "x", context, answers: [{ text: answer, start }] };
        const set = task.prepare([question], new FakeTokenizer(), { maxLength });
        let held = 0;
        for (let row = 0; row < set.size; row++) {
          const [begin, end] = set.targets.subarray(2 * row, 2 * row + 2) as unknown as [number, number];
          const spans = set.spans[row]!.filter((span) => span !== undefined);
          const whole = spans[0]![0] <= start && spans.at(-1)![1] >= start + answer.length;
          assert.equal(begin > 0, whole, "a window has the answer if it sees all of it");
          if (!whole) continue;
          held++;
          const [from, to] = [set.spans[row]![begin]!, set.spans[row]![end]!];
          assert.equal(context.slice(from[0], to[1]), answer);
          // Outputs that say the targets give the answer.
          if (end - begin < 30) {
            const outputs = outputsOf(set, [[row, begin, 9, 0], [row, end, 0, 9]]);
            assert.equal(readOutputs(task.predictor(set), set, outputs)[0]!.text, answer);
            assert.equal(readOutputs(task.scorer(set), set, outputs)["exactMatch"], 1);
          }
        }
        // An answer that fits into what two windows share, or into the first of all, is in some window.
        if (set.size === 1) {
          assert.equal(held, 1);
        }
      },
    ),
  );
});

test("questionAnswering() names an example that doesn't fit", () => {
  const prepare = (example: Partial<ReturnType<typeof ask>>) =>
    task.prepare([ask("dog"), { ...ask("dog"), ...example }], new FakeTokenizer(), options);
  assert.throws(() => prepare({ answers: [{ text: "dog", start: 7 }] }), {
    name: "RangeError",
    message:
      'Cannot use example 2 ("q"): its answer "dog" must stand at 7 of its context, in UTF-16 units, where " do" is',
  });
  assert.throws(() => prepare({ answers: [{ text: "", start: 0 }] }), {
    name: "RangeError",
    message: /answer ""/,
  });
  assert.throws(() => prepare({ answers: [{ text: " ", start: 3 }] }), {
    name: "RangeError",
    message: /answer " "/,
  });
  assert.throws(() => prepare({ question: "who ran and ran and ran" }), {
    name: "RangeError",
    message: /example 2 \("q"\): Cannot see a text through windows of 0 tokens/,
  });
  assert.throws(() => task.ask("who?"), { name: "TypeError", message: /without a context/ });
  assert.deepEqual(task.ask("who?", "me"), { id: "0", question: "who?", context: "me", answers: [] });
});

test("questionAnswering() passes on errors that aren't about the length of a question", () => {
  class BrokenTokenizer extends FakeTokenizer {
    override encodePair(): never {
      throw new TypeError("broken");
    }
  }
  for (const longQuestions of [undefined, "skip"] as const) {
    assert.throws(
      () =>
        task.prepare([ask("dog")], new BrokenTokenizer(), {
          ...options,
          ...longQuestions && { longQuestions },
        }),
      { name: "TypeError", message: "broken" },
    );
  }
});

test("questionAnswering() skips a question that leaves no room for its context if it's told so", () => {
  const long = { ...ask("dog"), id: "long", question: "who ran and ran and ran" };
  const careful = questionAnswering({ stride: 1, noAnswerThreshold: 0 });
  const set = careful.prepare([long, ask("dog"), { ...long, answers: [] }], new FakeTokenizer(), {
    ...options,
    longQuestions: "skip",
  });
  assert.deepEqual([set.numExamples, set.size], [3, 2]);
  assert.deepEqual(set.firstRows, Uint32Array.of(0, 0, 2, 2));
  const outputs = outputsOf(set, [[0, 6, 2, 2]]);
  const [first, second] = readOutputs(careful.predictor(set), set, outputs);
  assert.deepEqual(first, { id: "long", text: "", noAnswerMargin: null, candidates: [] });
  assert.equal(second!.text, "dog");
  // It counts as answered with nothing: wrong where there is an answer, right where there is none.
  const { f1, hasAnswerF1, noAnswerAccuracy } = readOutputs(careful.scorer(set), set, outputs);
  assert.deepEqual([f1, hasAnswerF1, noAnswerAccuracy], [2 / 3, 0.5, 1]);
});

test("questionAnswering() refuses options out of range, and empty sets", () => {
  for (const bad of [{ nBest: 0 }, { maxAnswerLength: 1.5 }, { stride: -1 }, { noAnswerThreshold: NaN }]) {
    assert.throws(() => questionAnswering(bad), {
      name: "RangeError",
      message: new RegExp(Object.keys(bad)[0]!),
    });
  }
  assert.throws(() => questionAnswering({ maxAnswerLength: 0 }), { message: /from 1, got 0/ });
  const least = questionAnswering({ nBest: 1, maxAnswerLength: 1, stride: 0 });
  const set = least.prepare([ask("dog")], new FakeTokenizer(), options);
  const { candidates } = readOutputs(
    least.predictor(set),
    set,
    outputsOf(set, [[0, 5, 3, 1], [0, 6, 0, 3]]),
  )[0]!;
  assert.deepEqual(candidates.map(({ text, score }) => [text, score]), [["old", 4]]);
  const empty = task.prepare([], new FakeTokenizer(), options);
  assert.deepEqual(readOutputs(task.predictor(empty), empty, new Float32Array(0)), []);
  assert.throws(() => readOutputs(task.scorer(empty), empty, new Float32Array(0)), {
    name: "RangeError",
    message: /got 0/,
  });
});
