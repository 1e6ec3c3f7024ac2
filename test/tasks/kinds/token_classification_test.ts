import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readOutputs, tagsOf, tokenClassification } from "../../../src/tasks/mod.ts";
import { F64Array } from "../../reference/array.ts";
import * as reference from "../../reference/loss.ts";
import { assertClose } from "../../support/compare.ts";
import type { EncodeOptions, TextTokens, WordTokens } from "../../../src/models/tokenizer/tokenizer.ts";
import { FakeTokenizer } from "../../support/fake_tokenizer.ts";
import { evaluate, testGpu, upload, uploadIntegers } from "../../engine/harness.ts";

const gpu = await testGpu();
const labels = ["O", "B-PER", "I-PER"];
const task = tokenClassification({ labels });
const words = (text: string) => text.split(" ");
const example = (tokens: string, tags: string) => ({ tokens: words(tokens), tags: words(tags) });
const examples = [
  example("Ada Lovelace wrote", "B-PER I-PER O"),
  example("to Babbage", "O B-PER"),
  example("x", "O"),
];

/** Outputs whose largest of each token is that of a tag, or of O where none is given. */
function outputsOf(rows: readonly (readonly string[])[], length: number): Float32Array {
  const outputs = new Float32Array(rows.length * length * 3);
  rows.forEach((tags, row) =>
    tags.forEach((tag, at) => outputs[(row * length + at) * 3 + labels.indexOf(tag)] = 1)
  );
  return outputs;
}

test("tokenClassification() puts a word's tag on its first token; the others don't count", () => {
  const tokenizer = new FakeTokenizer();
  const set = task.prepare(examples, tokenizer, { maxLength: 8 });
  assert.equal(
    tokenizer.spell(set.inputs.inputIds!.data),
    "[ Ada Lov ela ce wro te ] [ to Bab bag e ] _ _ [ x ] _ _ _ _ _",
  );
  const x = -100;
  assert.deepEqual([...set.targets], [
    ...[x, 1, 2, x, x, 0, x, x],
    ...[x, 0, 1, x, x, x, x, x],
    ...[x, 0, x, x, x, x, x, x],
  ]);
  assert.equal(set.targetsPerRow, 8);
  assert.deepEqual(set.firstTokens, [Int32Array.of(1, 2, 5), Int32Array.of(1, 2), Int32Array.of(1)]);
});

test("tokenClassification() takes words cut off for O and scores them so", () => {
  const tokenizer = new FakeTokenizer();
  const set = task.prepare(examples, tokenizer, { maxLength: 4 });
  assert.equal(tokenizer.spell(set.inputs.inputIds!.data), "[ Ada Lov ] [ to Bab ] [ x ] _");
  assert.deepEqual(set.firstTokens[0], Int32Array.of(1, 2, -1));
  assert.equal(set.numTruncated, 2);
  const outputs = outputsOf([["O", "B-PER", "I-PER"], ["O", "O", "B-PER"], ["O", "O"]], 4);
  assert.deepEqual(
    readOutputs(task.predictor(set), set, outputs).map(({ tags }) => tags),
    examples.map(({ tags }) => tags),
  );
  assert.deepEqual(readOutputs(task.scorer(set), set, outputs), {
    f1: 1,
    precision: 1,
    recall: 1,
    accuracy: 1,
  });
  // With one token left of each, nobody sees Lovelace or Babbage.
  const short = task.prepare(examples, tokenizer, { maxLength: 3 });
  const found = outputsOf([["O", "B-PER"], ["O", "O"], ["O", "O"]], 3);
  assert.deepEqual(readOutputs(task.predictor(short), short, found).map(({ tags }) => tags), [
    ["B-PER", "O", "O"],
    ["O", "O"],
    [
      "O",
    ],
  ]);
  assert.deepEqual(readOutputs(task.predictor(short), short, found).map(({ numUnseen }) => numUnseen), [
    2,
    1,
    undefined,
  ]);
  assert.deepEqual(readOutputs(task.scorer(short), short, found), {
    f1: 0,
    precision: 0,
    recall: 0,
    accuracy: 4 / 6,
  });
});

test("tokenClassification() reads predictions at first tokens and tells what entities they mark", () => {
  const set = task.prepare(examples.slice(0, 2), new FakeTokenizer(), { maxLength: 8 });
  // At other tokens than a word's first anything may stand.
  const outputs = outputsOf([
    ["I-PER", "B-PER", "I-PER", "B-PER", "B-PER", "O", "B-PER", "B-PER"],
    ["B-PER", "B-PER", "I-PER", "O", "O", "B-PER", "B-PER", "B-PER"],
  ], 8);
  assert.deepEqual(readOutputs(task.predictor(set), set, outputs), [
    { tags: words("B-PER I-PER O"), entities: [{ type: "PER", start: 0, end: 2 }] },
    { tags: words("B-PER I-PER"), entities: [{ type: "PER", start: 0, end: 2 }] },
  ]);
  // One of two entities is right; of five words three are.
  const scores = readOutputs(task.scorer(set), set, outputs);
  assert.deepEqual(Object.keys(scores), task.metrics);
  assert.deepEqual(scores, { f1: 0.5, precision: 0.5, recall: 0.5, accuracy: 3 / 5 });
});

test("tokenClassification() of tags that mark no entities is scored by accuracy alone", () => {
  const speech = tokenClassification({ labels: ["NOUN", "VERB"] });
  const set = speech.prepare([example("cats sleep", "NOUN VERB")], new FakeTokenizer(), { maxLength: 6 });
  const outputs = Float32Array.from([0, 0, 1, 0, 0, 0, 2, 1, 0, 0, 0, 0]);
  assert.deepEqual(speech.metrics, ["accuracy"]);
  assert.deepEqual(readOutputs(speech.predictor(set), set, outputs), [{
    tags: ["NOUN", "NOUN"],
    entities: [],
  }]);
  assert.deepEqual(readOutputs(speech.scorer(set), set, outputs), { accuracy: 0.5 });
});

test("tokenClassification()'s losses and their gradients are the oracle's, 0 where a token doesn't count", async () => {
  const logits = F64Array.fromF32([1, 2, 3, 3], [3, -1, 2, 0, 0, 0, 9, 2, 3, -4, 4, 0.5, 1, 1, 2, 7, 8, 9]);
  const targets = F64Array.from([1, 2, 3], [-100, 1, 2, 0, -100, -100]);
  const { shape, y, dy, gradients: [dx] } = await evaluate(
    gpu,
    (outputs) =>
      task.losses(outputs, {
        targets: uploadIntegers(gpu, targets, "i32"),
        inputs: { attentionMask: upload(gpu, targets) },
      }),
    { inputs: [logits] },
  );
  assert.deepEqual(shape, [1, 2, 3]);
  const options = { reduction: "none" } as const;
  // Losses below 9 from some ten roundings of 6e-8, and exponentials off by 2e-7.
  assertClose(y, reference.crossEntropy(logits, targets, options), { absolute: 3e-6 });
  assertClose(dx!, reference.crossEntropyGradient(logits, targets, dy, options), { absolute: 3e-6 });
});

test("tokenClassification() aligns any words: each is seen at most once, in order, with its own tag", () => {
  const word = fc.stringMatching(/^[a-c]{0,7}$/);
  const texts = fc.array(fc.array(fc.tuple(word, fc.constantFrom(...labels)), { maxLength: 6 }), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(fc.property(texts, fc.integer({ min: 2, max: 12 }), (pairs, maxLength) => {
    const tokenizer = new FakeTokenizer();
    const tagged = pairs.map((text) => ({
      tokens: text.map(([token]) => token),
      tags: text.map(([, tag]) => tag),
    }));
    const set = task.prepare(tagged, tokenizer, { maxLength });
    tagged.forEach(({ tokens, tags }, row) => {
      const at = (place: number) => row * maxLength + place;
      const places = [...set.firstTokens[row]!];
      const seen = places.filter((place) => place >= 0);
      assert.deepEqual(seen, seen.toSorted((a, b) => a - b));
      assert.equal(new Set(seen).size, seen.length);
      places.forEach((place, word) => {
        if (place < 0) return;
        const piece = tokenizer.spell([set.inputs.inputIds!.data[at(place)]!]);
        assert.ok(tokens[word]!.startsWith(piece) && set.inputs.attentionMask!.data[at(place)] === 1);
        assert.equal(labels[set.targets[at(place)]!], tags[word]);
      });
      const counted = set.targets.subarray(at(0), at(maxLength)).filter((target) => target !== -100);
      assert.equal(counted.length, seen.length);
      // What isn't seen is empty, or behind the last token that fits.
      const tokensOf = (count: number) =>
        tokens.slice(0, count).reduce((n, t) => n + Math.ceil(t.length / 3), 0);
      places.forEach((place, word) =>
        assert.equal(place < 0, tokens[word] === "" || tokensOf(word) >= maxLength - 2)
      );
    });
  }));
});

test("tokenClassification() names an example that doesn't fit", () => {
  const options = { maxLength: 8 };
  assert.throws(() => task.prepare([examples[0]!, example("a b", "O")], new FakeTokenizer(), options), {
    name: "RangeError",
    message: "Cannot use example 2: it must have a tag for each word, got 1 and 2",
  });
  assert.throws(() => task.prepare([example("a", "B-LOC")], new FakeTokenizer(), options), {
    name: "RangeError",
    message: /example 1: its label "B-LOC" is unknown/,
  });
});

test("tokenClassification() asks about the words of a text by its tokens, punctuation and unspaced scripts apart", () => {
  const wordsOf = (text: string) => {
    const set = task.prepare([task.ask(text)], new FakeTokenizer(), { maxLength: 40 });
    return readOutputs(task.predictor(set), set, outputsOf([[]], 40))[0]!.words!.map(({ text }) => text);
  };
  // The tokens are "Ada" "'s", "fri" "end" ",", "naï" "ve\u0301", "42", "(東京" ")!" and "我住在" "北京".
  assert.deepEqual(
    wordsOf("Ada's friend, naïve\u0301 42 (東京)! 我住在北京"),
    ["Ada", "'s", "friend", ",", "naïve\u0301", "42", "(東京", ")!", "我住在", "北京"],
  );
  assert.deepEqual(wordsOf(""), []);
});

test("tokenClassification() says where words and entities of a text stand, in UTF-16 units, and what it didn't see", () => {
  const text = "😀 Ada Lovelace wrote";
  const tokenizer = new FakeTokenizer();
  const set = task.prepare([task.ask(text)], tokenizer, { maxLength: 7 });
  assert.equal(tokenizer.spell(set.inputs.inputIds!.data), "[ 😀 Ada Lov ela ce ]");
  assert.equal(set.numTruncated, 1);
  assert.deepEqual(
    readOutputs(task.predictor(set), set, outputsOf([["O", "O", "B-PER", "I-PER", "B-PER", "O"]], 7)),
    [{
      tags: ["O", "B-PER", "I-PER", "O"],
      entities: [{ type: "PER", start: 1, end: 3, text: "Ada Lovelace", startChar: 3, endChar: 15 }],
      words: [
        { text: "😀", start: 0, end: 2 },
        { text: "Ada", start: 3, end: 6 },
        { text: "Lovelace", start: 7, end: 15 },
        { text: "wrote", start: 16, end: 21 },
      ],
      numUnseen: 1,
    }],
  );
});

test("tagsOf() puts O first and the others in code unit order", () => {
  const tagged = [{ tags: ["I-b", "B-b"] }, { tags: ["O", "B-a", "b", "B"] }];
  assert.deepEqual(tagsOf(tagged), ["O", "B", "B-a", "B-b", "I-b", "b"]);
  assert.deepEqual(tagsOf([{ tags: ["VERB", "NOUN"] }]), ["NOUN", "VERB"]);
});

/** A tokenizer that puts nothing before and behind a text, so that a word's first token may be a row's first. */
class BareTokenizer extends FakeTokenizer {
  override encodeWords(words: readonly string[], { maxLength = Infinity }: EncodeOptions = {}): WordTokens {
    const { inputIds, tokenTypeIds, words: owners, isTruncated } = super.encodeWords(words, {
      maxLength: maxLength + 2,
    });
    return {
      inputIds: inputIds.slice(1, -1),
      tokenTypeIds: tokenTypeIds.slice(1, -1),
      words: owners.slice(1, -1),
      isTruncated,
    };
  }

  override encodeText(text: string, { maxLength = Infinity }: EncodeOptions = {}): TextTokens {
    const { inputIds, tokenTypeIds, tokens } = super.encodeText(text, { maxLength: maxLength + 2 });
    return {
      inputIds: inputIds.slice(1, -1),
      tokenTypeIds: tokenTypeIds.slice(1, -1),
      tokens: tokens.map(({ place, ...token }) => ({ ...token, place: place < 0 ? -1 : place - 1 })),
    };
  }
}

test("tokenClassification() reads words at the very start and end of a row", () => {
  const tokenizer = new BareTokenizer();
  const set = task.prepare([example("Ada Lovelace wrote", "B-PER I-PER O")], tokenizer, { maxLength: 7 });
  assert.equal(tokenizer.spell(set.inputs.inputIds!.data), "Ada Lov ela ce wro te _");
  const x = -100;
  assert.deepEqual([...set.targets], [1, 2, x, x, 0, x, x]);
  const outputs = outputsOf([["B-PER", "I-PER", "O", "O", "O", "O", "O"]], 7);
  assert.deepEqual(readOutputs(task.predictor(set), set, outputs)[0]!.tags, words("B-PER I-PER O"));
  const full = task.prepare([example("a b", "B-PER I-PER")], tokenizer, { maxLength: 2 });
  assert.deepEqual([...full.targets], [1, 2]);
  // One word of three is seen, the first; and of a text that fits, every one.
  const short = task.prepare([task.ask("Ada Lovelace wrote")], tokenizer, { maxLength: 1 });
  const found = readOutputs(task.predictor(short), short, outputsOf([["B-PER"]], 1))[0]!;
  assert.deepEqual([found.tags, found.numUnseen], [words("B-PER O O"), 2]);
  const whole = task.prepare([task.ask("Ada")], tokenizer, { maxLength: 2 });
  assert.deepEqual(whole.truncated, [false]);
  assert.equal(whole.numTruncated, 0);
});

test("tokenClassification() reads each word's own outputs, also where O isn't the first tag and other tokens say more", () => {
  const late = tokenClassification({ labels: ["B-PER", "I-PER", "O"] });
  const set = late.prepare([example("Lovelace ran by", "B-PER O O")], new FakeTokenizer(), { maxLength: 6 });
  // "[ Lov ela ce ran ]": the last word is cut off.
  const outputs = Float32Array.from(
    [[0, 9, 0], [2, 0, 1], [0, 8, 0], [0, 7, 0], [0, 1, 2], [0, 9, 0]].flat(),
  );
  assert.deepEqual(readOutputs(late.predictor(set), set, outputs)[0]!.tags, words("B-PER O O"));
  assert.deepEqual(readOutputs(late.scorer(set), set, outputs), {
    f1: 1,
    precision: 1,
    recall: 1,
    accuracy: 1,
  });
  assert.throws(() => tokenClassification({ labels: ["O"] }), {
    name: "RangeError",
    message: /with 1 labels/,
  });
});

test("tokenClassification() counts the words cut off at either end, not those that have no token", () => {
  const unseen = (tokens: string[], places?: number[]) => {
    const tags = tokens.map(() => "O");
    const set = task.prepare([{ tokens, tags }], new FakeTokenizer(), { maxLength: 4 });
    const seen = places ? { ...set, firstTokens: [Int32Array.from(places)], truncated: [true] } : set;
    return readOutputs(task.predictor(seen), seen, outputsOf([[]], 4))[0]!.numUnseen;
  };
  assert.equal(unseen(["", "a", ""]), undefined);
  assert.equal(unseen(["a", "", "b", "c"]), 1);
  // As a text cut at its left leaves them, and one of which nothing is left.
  assert.equal(unseen(["a", "b", "c"], [-1, -1, 1]), 2);
  assert.equal(unseen(["a", "b", "", "c", "d"], [-1, 1, -1, 2, -1]), 2);
  assert.equal(unseen(["a", "b", "c"], [-1, -1, -1]), 3);
});

test("tokenClassification() scores a single word, and refuses to score none", () => {
  const score = (given: typeof examples) => {
    const set = task.prepare(given, new FakeTokenizer(), { maxLength: 3 });
    return readOutputs(task.scorer(set), set, outputsOf(given.map(() => []), 3));
  };
  assert.equal(score([example("x", "O")])["accuracy"], 1);
  for (const none of [[], [{ tokens: [], tags: [] }]]) {
    assert.throws(() => score(none), {
      name: "RangeError",
      message: "Cannot score tags: there must be at least one word, got 0",
    });
  }
});
