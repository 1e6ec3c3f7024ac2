import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HfTokenizer } from "../../../src/models/mod.ts";
import { readGoldenTokenizers } from "../../support/golden_tokenizers.ts";

const { files } = readGoldenTokenizers();
const tokenizerOf = (name: string, options = {}) => new HfTokenizer(files[name], options);
const bert = tokenizerOf("bert");
const roberta = tokenizerOf("roberta");
const tokenizers = [bert, roberta, tokenizerOf("deberta")];

/** A tokenizer of lower-case letters, spaces between them and two marks; `steps` are those of its file that matter. */
function lettersWith(steps: object): HfTokenizer {
  const letters = Array.from("abcdefghijklmnopqrstuvwxyz", (letter, i) => [letter, 4 + i] as const);
  return new HfTokenizer({
    pre_tokenizer: { type: "WhitespaceSplit" },
    model: {
      type: "WordPiece",
      vocab: Object.fromEntries([["[PAD]", 0], ["[UNK]", 1], ["[A]", 2], ["[B]", 3], ...letters]),
      unk_token: "[UNK]",
      continuing_subword_prefix: "",
    },
    ...steps,
  });
}

const PROCESSOR = { type: "BertProcessing", cls: ["[A]", 2], sep: ["[B]", 3] };
const letters = lettersWith({ post_processor: PROCESSOR });
const anyText = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }), fc.string());

test("HfTokenizer gives hand-worked tokens", () => {
  assert.deepEqual(letters.encode("ab d"), [2, 4, 5, 7, 3]);
  assert.deepEqual(letters.encodeWithSpans("ab d!").spans, [undefined, [0, 1], [1, 2], [3, 5], undefined]);
  const { inputIds, tokenTypeIds, attentionMask, length } = letters.encodeBatch(["a", "b"], {
    pairs: ["cd", ""],
  });
  assert.equal(length, 6);
  assert.deepEqual([...inputIds], [2, 4, 3, 6, 7, 3, 2, 5, 3, 3, 0, 0]);
  assert.deepEqual([...tokenTypeIds!], [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 0, 0]);
  assert.deepEqual([...attentionMask], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0]);
  assert.deepEqual(letters.encodeWords(["ab", "", "?", "c d"], { maxLength: 6 }), {
    inputIds: [2, 4, 5, 1, 6, 3],
    tokenTypeIds: [0, 0, 0, 0, 0, 0],
    words: [-1, 0, 0, 2, 3, -1],
    isTruncated: true,
  });
  assert.deepEqual(letters.encodePair("a", "bcdef", { maxLength: 7, stride: 1 }), [
    {
      inputIds: [2, 4, 3, 5, 6, 7, 3],
      tokenTypeIds: [0, 0, 0, 1, 1, 1, 1],
      spans: [undefined, undefined, undefined, [0, 1], [1, 2], [2, 3], undefined],
    },
    {
      inputIds: [2, 4, 3, 7, 8, 9, 3],
      tokenTypeIds: [0, 0, 0, 1, 1, 1, 1],
      spans: [undefined, undefined, undefined, [2, 3], [3, 4], [4, 5], undefined],
    },
  ]);
  assert.deepEqual(letters.encodePair("a", "", { maxLength: 7, stride: 1 }).map(({ inputIds }) => inputIds), [
    [
      2,
      4,
      3,
      3,
    ],
  ]);
});

test("HfTokenizer without a post_processor puts nothing around texts", () => {
  const plain = lettersWith({ post_processor: null });
  const { inputIds, tokenTypeIds } = plain.encodeBatch(["ab"], { pairs: ["c"] });
  assert.deepEqual([[...inputIds], [...tokenTypeIds!]], [[4, 5, 6], [0, 0, 1]]);
  assert.deepEqual(plain.encode(""), []);
  assert.deepEqual([...plain.encodeBatch([""]).inputIds], [0]);
});

test("HfTokenizer tells no parts apart where the model reads none", () => {
  const config = { model_input_names: ["input_ids", "attention_mask"] };
  const tokenizer = tokenizerOf("bert", { config });
  assert.equal(tokenizer.encodeBatch(["a"], { pairs: ["b"] }).tokenTypeIds, undefined);
  assert.deepEqual(tokenizer.encodePair("a", "b", { maxLength: 9, stride: 0 })[0]!.tokenTypeIds, [
    0,
    0,
    0,
    0,
    0,
  ]);
});

test("HfTokenizer refuses pairs of types that the model doesn't know", () => {
  const options = { config: { tokenizer_class: "BertTokenizer" }, model: { type_vocab_size: 1 } };
  const tokenizer = tokenizerOf("bert", options);
  const error = {
    name: "TokenizerError",
    message: /second text have the type 1, and the model has 1 types by type_vocab/,
  };
  assert.throws(() => tokenizer.encodeBatch(["a"], { pairs: ["b"] }), error);
  assert.throws(() => tokenizer.encodePair("a", "b", { maxLength: 9, stride: 0 }), error);
  assert.equal(tokenizer.encodeBatch(["a"]).batchSize, 1);
  assert.equal(
    tokenizerOf("bert", { ...options, model: { type_vocab_size: 2 } }).encodeBatch(["a"], { pairs: ["b"] })
      .length,
    5,
  );
});

test("HfTokenizer reads as much as the model does, or the caller says", () => {
  const long = "fox ".repeat(100);
  assert.equal(bert.maxLength, Infinity);
  assert.equal(bert.encode(long).length, 102);
  const tokenizer = tokenizerOf("bert", { config: { model_max_length: 20 }, maxLength: 30 });
  assert.equal(tokenizer.maxLength, 20);
  assert.equal(tokenizer.encode(long).length, 20);
  assert.equal(tokenizer.encodeBatch([long]).length, 20);
  assert.equal(tokenizer.encode(long, { maxLength: 50 }).length, 50);
  assert.equal(tokenizerOf("bert", { config: { model_max_length: 1e30 }, maxLength: 30 }).maxLength, 30);
});

test("HfTokenizer lets classes that make their own steps overrule case, accents and the first space", () => {
  const cased = tokenizerOf("bert_cased");
  const bertClass = { tokenizer_class: "BertTokenizer" };
  const overruled = tokenizerOf("bert_cased", { config: { ...bertClass, do_lower_case: true } });
  assert.notDeepEqual(cased.encode("THE"), cased.encode("the"));
  assert.deepEqual(overruled.encode("THE Thé"), cased.encode("the the"));
  const accents = tokenizerOf("bert", { config: { ...bertClass, strip_accents: false } });
  assert.notDeepEqual(accents.encode("é"), bert.encode("é"));
  const spaced = tokenizerOf("roberta", {
    config: { tokenizer_class: "RobertaTokenizer", add_prefix_space: true },
  });
  assert.deepEqual(spaced.encode("fox"), roberta.encode(" fox"));
  const generic = { tokenizer_class: "PreTrainedTokenizerFast", do_lower_case: true, strip_accents: true };
  assert.deepEqual(tokenizerOf("bert_cased", { config: generic }).encode("THE"), cased.encode("THE"));
});

test("HfTokenizer says which steps of tokenizer.json a class doesn't use", () => {
  const noticesOf = (name: string, config: object, texts?: [string, string]) => {
    const notices: string[] = [];
    const tokenizer = tokenizerOf(name, { config, onNotice: (notice: string) => notices.push(notice) });
    for (let i = 0; texts && i < 2; i++) tokenizer.encodeBatch([texts[0]], { pairs: [texts[1]] });
    return notices;
  };
  assert.deepEqual(noticesOf("bert_cased", { tokenizer_class: "BertTokenizer" }), [
    "tokenizer.json's normalizer's lowercase (false) isn't used: BertTokenizer makes its own, as in transformers 5; " +
    'tokenizer_class "PreTrainedTokenizerFast" in tokenizer_config.json would use it',
  ]);
  assert.deepEqual(noticesOf("bert_cased", { tokenizer_class: "BertTokenizer", do_lower_case: true }), []);
  assert.deepEqual(noticesOf("bert", { tokenizer_class: "BertTokenizer" }), []);
  assert.deepEqual(noticesOf("xlm_roberta", { tokenizer_class: "XLMRobertaTokenizer" }), []);
  const [steps] = noticesOf("bert_marked", { tokenizer_class: "BertTokenizer" });
  assert.match(steps!, /normalizer \(StripAccents, Lowercase\) and pre_tokenizer \(Whitespace\) isn't used/);
  const [ofTypes, ...rest] = noticesOf("bert", { tokenizer_class: "PreTrainedTokenizerFast" }, [
    "a",
    "b",
  ]);
  assert.match(ofTypes!, /^Both texts of a pair have the token type 0/);
  assert.deepEqual(rest, []);
  // Models of transformers 4 are trained with the parts that its generic tokenizers tell.
  const config = { tokenizer_class: "PreTrainedTokenizerFast" };
  const old = tokenizerOf("bert", { config, model: { transformers_version: "4.57.6" } });
  assert.deepEqual([...old.encodeBatch(["a"], { pairs: ["b"] }).tokenTypeIds!], [0, 0, 0, 1, 1]);
});

test("HfTokenizer.encodeWords() puts a space before each word of a byte-level tokenizer", () => {
  const { inputIds, words } = roberta.encodeWords(["fox", "isn't"]);
  assert.deepEqual(inputIds, roberta.encode(" fox isn't"));
  assert.equal(words.indexOf(1), roberta.encode(" fox").length - 1);
});

test("HfTokenizer names the padding token's id", () => {
  assert.equal(bert.padId, 0);
  assert.equal(roberta.padId, 1);
  assert.equal(tokenizerOf("bert", { config: { pad_token: "[MASK]" } }).padId, 4);
  assert.equal(tokenizerOf("bert", { config: { pad_token: { content: "[SEP]" } } }).padId, 3);
});

test("HfTokenizer's spans lie in the text, in order, for any text", () => {
  fc.assert(fc.property(anyText, fc.constantFrom(...tokenizers), (text, tokenizer) => {
    let last = 0;
    for (const span of tokenizer.encodeWithSpans(text).spans) {
      if (span === undefined) continue;
      const [start, end] = span;
      assert(start <= end && end <= text.length && start >= last, `${start} ${end} after ${last}`);
      // No span cuts a character of two units.
      assert(text.slice(start, end).isWellFormed() || !text.isWellFormed());
      last = start;
    }
  }));
});

test("HfTokenizer.encode() cut short is a prefix and the last special token", () => {
  fc.assert(fc.property(anyText, fc.integer({ min: 2, max: 12 }), (text, maxLength) => {
    for (const tokenizer of tokenizers) {
      const whole = tokenizer.encode(text);
      const room = Math.min(maxLength, whole.length) - 1;
      assert.deepEqual(tokenizer.encode(text, { maxLength }), [...whole.slice(0, room), whole.at(-1)!]);
    }
  }));
});

test("HfTokenizer.encodePair() covers the second text, window by window", () => {
  fc.assert(fc.property(
    fc.nat(30),
    fc.nat(4),
    fc.integer({ min: 1, max: 6 }),
    (count, stride, step) => {
      const text = "a".repeat(count);
      const maxLength = 4 + stride + step;
      const windows = letters.encodePair("b", text, { maxLength, stride });
      let covered = 0;
      for (const [i, { inputIds, spans }] of windows.entries()) {
        const places = spans.filter((span) => span !== undefined);
        assert(inputIds.length <= maxLength);
        if (i > 0) assert.equal(places[0]![0], covered - stride);
        covered = places.at(-1)?.[1] ?? 0;
      }
      assert.equal(covered, count);
    },
  ));
});

test("HfTokenizer takes a lone surrogate for U+FFFD", () => {
  for (const tokenizer of tokenizers) {
    assert.deepEqual(tokenizer.encode("a\ud800b \udc00"), tokenizer.encode("a\ufffdb \ufffd"));
  }
});

test("HfTokenizer refuses what can't be", () => {
  const anyPair = { maxLength: 8, stride: 0 };
  for (
    const [run, error] of [
      [() => bert.encode(5 as unknown as string), TypeError],
      [() => bert.encodeWords(["a", null as unknown as string]), TypeError],
      [
        () => bert.encode("a", { maxLength: 1 }),
        /maxLength must have room for the special tokens, got 1 and 2/,
      ],
      [() => bert.encode("a", { maxLength: 0 }), RangeError],
      [() => bert.encode("a", { maxLength: 2.5 }), RangeError],
      [() => bert.encodeBatch(["a"], { pairs: [] }), /as many second texts as first ones, got 0 and 1/],
      [() => bert.encodeBatch(["a a a"], { padTo: 2 }), RangeError],
      [() => letters.encodePair("abcdef", "a", anyPair), /got 8 of which the first text .* take 9, and 0/],
      [() => letters.encodePair("a", "a", { maxLength: 6, stride: 2 }), RangeError],
      [() => letters.encodePair("a", "a", { maxLength: 8, stride: -1 }), RangeError],
      [() => tokenizerOf("bert", { maxLength: 0 }), RangeError],
    ] as const
  ) {
    assert.throws(run, error);
  }
});

test("HfTokenizer tells which texts were cut", () => {
  const words = (count: number) => "a ".repeat(count);
  const batch = letters.encodeBatch([words(3), words(4), words(5), ""], { maxLength: 6 });
  assert.equal(batch.numTruncated, 1);
  assert.equal(letters.encodeBatch([words(3)]).numTruncated, 0);
  const pairs = letters.encodeBatch([words(2), words(2)], { pairs: [words(2), words(3)], maxLength: 7 });
  assert.equal(pairs.numTruncated, 1);
  assert.equal(letters.encodeWords(["a", "b", ""], { maxLength: 4 }).isTruncated, false);
  assert.equal(letters.encodeWords(["a", "b", "c"], { maxLength: 4 }).isTruncated, true);
  assert.deepEqual(letters.encodeWords(["a", "bcd"], { maxLength: 4 }), {
    inputIds: [2, 4, 5, 3],
    tokenTypeIds: [0, 0, 0, 0],
    words: [-1, 0, 1, -1],
    isTruncated: true,
  });
});
