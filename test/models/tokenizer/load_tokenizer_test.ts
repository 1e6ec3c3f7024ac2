import assert from "node:assert/strict";
import { test } from "node:test";
import { loadTokenizer } from "../../../src/models/mod.ts";
import { hashTokens, readGoldenTokenizers } from "../../support/golden_tokenizers.ts";
import { oddStrings } from "../../support/odd_strings.ts";
import { temporaryFiles } from "../../support/temporary_files.ts";
import { cpuClock } from "../../support/cpu_clock.ts";

const { files, hashes } = readGoldenTokenizers();
const strings = oddStrings().slice(0, 200);

test("loadTokenizer() reads tokenizer.json and the settings beside it", async () => {
  const tokenizer = await loadTokenizer(
    await temporaryFiles({
      "tokenizer.json": files.bert!,
      "tokenizer_config.json": { model_max_length: 40 },
      "special_tokens_map.json": { pad_token: { content: "[MASK]" } },
    }),
    { maxLength: 50 },
  );
  assert.equal(tokenizer.maxLength, 40);
  assert.equal(tokenizer.padId, 4);
  assert.equal(tokenizer.vocabularySize, 2500);
});

test("loadTokenizer() reads a vocab.txt of BERT as Python reads tokenizer.json", async () => {
  const { vocab } = files.bert!.model as { vocab: Record<string, number> };
  const lines = Object.keys(vocab).sort((a, b) => vocab[a]! - vocab[b]!);
  for (const end of ["\n", "\r\n"]) {
    const tokenizer = await loadTokenizer(await temporaryFiles({ "vocab.txt": lines.join(end) + end }));
    for (const [i, text] of strings.entries()) {
      assert.equal(hashTokens(tokenizer.encodeWithSpans(text)), hashes.bert![i], text);
    }
  }
  const settings = { do_lower_case: false, cls_token: "[MASK]" };
  const cased = await temporaryFiles({ "vocab.txt": lines.join("\n"), "tokenizer_config.json": settings });
  assert.deepEqual((await loadTokenizer(cased)).encode("THE", { maxLength: 2 }), [4, 3]);
});

test("loadTokenizer() says what is wrong, and with which model", async () => {
  for (
    const [contents, message] of [
      [{}, /there must be a tokenizer.json, got no vocabulary at all; where Python's transformers/],
      [{ "spm.model": "x" }, /there must be a tokenizer.json, got spm.model; .*save_pretrained/],
      [{ "vocab.json": {}, "merges.txt": "" }, /got vocab.json and merges.txt/],
      [{ "vocab.txt": "a\nb\n" }, /model.vocab must have the unknown token "\[UNK\]"/],
      [{ "vocab.txt": "[UNK]\n[SEP]\n" }, /the cls_token "\[CLS\]" must be in the vocabulary/],
      [{ "tokenizer.json": "{" }, /tokenizer.json must be JSON/],
      [{ "tokenizer.json": "[]" }, /tokenizer.json must be an object, got a list/],
      [{ "tokenizer.json": {} }, /model must be an object, got nothing/],
      [
        { "tokenizer.json": files.bert!, "tokenizer_config.json": { model_max_length: 0 } },
        /model_max_length must be a number of tokens, at least 1, got 0/,
      ],
      [
        {
          "tokenizer.json": files.bert!,
          "special_tokens_map.json": { pad_token: "<none>" },
          "config.json": { model_type: "bert", vocab_size: 2500 },
        },
        /token "<none>" \(pad_token\) has id 2500, and the model has embeddings for 2500 tokens/,
      ],
      [
        {
          "tokenizer.json": files.bert!,
          "tokenizer_config.json": { tokenizer_class: "BertTokenizer", do_lower_case: "no" },
        },
        /do_lower_case must be true or false, got "no"/,
      ],
    ] as const
  ) {
    const from = await temporaryFiles(contents);
    await assert.rejects(loadTokenizer(from), (error: Error) => {
      assert.equal(error.name, "TokenizerError");
      assert.match(error.message, message);
      assert(error.message.endsWith(`in ${from.source}`), error.message);
      return true;
    });
  }
});

const words = "[PAD] [UNK] [CLS] [SEP] [MASK] a b ##b".split(" ").join("\n");
const settingsOf = (settings: object) => ({ "vocab.txt": words, "tokenizer_config.json": settings });

test("loadTokenizer() refuses classes that cut texts in ways of their own", async () => {
  const slow = [
    "BertJapanese",
    "Bertweet",
    "Phobert",
    "RoFormer",
    "Flaubert",
    "XLM",
    "Canine",
    "ByT5",
    "Marian",
  ];
  for (const name of slow) {
    for (const file of [{ "vocab.txt": words }, { "tokenizer.json": files.bert! }]) {
      const settings = { tokenizer_class: `${name}Tokenizer` };
      const from = await temporaryFiles({ ...file, "tokenizer_config.json": settings });
      await assert.rejects(loadTokenizer(from), {
        name: "TokenizerError",
        message: new RegExp(
          `tokenizer_class ${name}Tokenizer splits texts with code or libraries of its own`,
        ),
      });
    }
  }
  const own = { auto_map: { AutoTokenizer: ["tokenization_x.XTokenizer", null] } };
  for (const file of [{ "vocab.txt": words }, { "tokenizer.json": files.bert! }]) {
    const from = await temporaryFiles({ ...file, "tokenizer_config.json": own });
    await assert.rejects(
      loadTokenizer(from),
      /auto_map .* code of the model's own, tokenization_x.XTokenizer,/,
    );
  }
  const unknown = await temporaryFiles(settingsOf({ tokenizer_class: "KoBertTokenizer" }));
  await assert.rejects(loadTokenizer(unknown), /tokenizer_class KoBertTokenizer needs a tokenizer.json/);
  const roberta = await temporaryFiles({ "vocab.txt": words, "config.json": { model_type: "roberta" } });
  await assert.rejects(loadTokenizer(roberta), /tokenizer_class RobertaTokenizer needs a tokenizer.json/);
  const other = await temporaryFiles({
    "tokenizer.json": files.roberta!,
    "config.json": { model_type: "bert" },
  });
  await assert.rejects(loadTokenizer(other), /BertTokenizer, .* needs a WordPiece model, got "BPE"/);
});

test("loadTokenizer() refuses tokens that contradict each other or the model", async () => {
  const entry = (content: string) => ({ content, special: true });
  for (
    const [contents, message] of [
      [
        settingsOf({ added_tokens_decoder: { 9: entry("<x>") } }),
        /added_tokens_decoder .* "<x>" the id 8 .* got 9/,
      ],
      [
        settingsOf({ added_tokens_decoder: { 1: entry("<x>") } }),
        /the token "<x>" the id 8 by the vocabulary, got 1/,
      ],
      [
        settingsOf({ added_tokens_decoder: { "08": entry("<x>"), 8: entry("<y>") } }),
        /got 8 for "<.>" and "<.>"/,
      ],
      [settingsOf({ added_tokens_decoder: { [2 ** 31]: entry("<x>") } }), /below 2\^31, got 2147483648/],
      [settingsOf({ added_tokens_decoder: { x: entry("<x>") } }), /key "x" of added_tokens_decoder must be/],
      [settingsOf({ added_tokens_decoder: { 8: "<x>" } }), /added_tokens_decoder\["8"\] must be an object/],
      [settingsOf({ extra_special_tokens: "<x>" }), /extra_special_tokens must be a list, got "<x>"/],
      [
        settingsOf({ additional_special_tokens: [5] }),
        /additional_special_tokens\[0\]|extra_special_tokens\[0\]/,
      ],
      [settingsOf({ extra_special_tokens: ["x".repeat(1001)] }), /at most 1000 characters, got 1001/],
      [{ "vocab.txt": words, "added_tokens.json": { "<x>": 8, "<y>": 8 } }, /got 8 for "<x>" and "<y>"/],
      [
        { "tokenizer.json": files.bert!, "added_tokens.json": { "<x>": 3 } },
        /added_tokens.json and tokenizer.json must give each token an id of its own, got 3 for "<x>" and "\[SEP\]"/,
      ],
      [{ "vocab.txt": words, "added_tokens.json": { "<x>": -1 } }, /the id of "<x>" in added_tokens.json/],
      [
        {
          ...settingsOf({ extra_special_tokens: ["<x>", "<y>"] }),
          "config.json": { model_type: "bert", vocab_size: 9 },
        },
        /token "<y>" \(extra_special_tokens\[1\]\) has id 9, and the model has embeddings for 9 tokens/,
      ],
      [
        { "vocab.txt": words, "config.json": { model_type: "bert", vocab_size: 7 } },
        /token "##b" \(the vocabulary\) has id 7, and the model has embeddings for 7 tokens/,
      ],
      [
        {
          "tokenizer.json": { ...files.bert!, added_tokens: [{ id: 2500, content: "<x>" }] },
          "tokenizer_config.json": { tokenizer_class: "BertTokenizer", added_tokens_decoder: {} },
        },
        /tokenizer.json has the added token "<x>", which added_tokens_decoder of tokenizer_config.json lacks/,
      ],
      [settingsOf({ truncation_side: "middle" }), /truncation_side must be "left" or "right", got "middle"/],
    ] as const
  ) {
    const from = await temporaryFiles(contents);
    await assert.rejects(loadTokenizer(from), { name: "TokenizerError", message });
  }
});

test("loadTokenizer() leaves out special tokens that only a class names and the model doesn't have", async () => {
  const lines = words.replace("[MASK]\n", "");
  for (const model of [{}, { "config.json": { model_type: "bert", vocab_size: 7 } }]) {
    const tokenizer = await loadTokenizer(await temporaryFiles({ "vocab.txt": lines, ...model }));
    assert.equal(tokenizer.vocabularySize, 7);
    assert.deepEqual(tokenizer.encode("[MASK] a"), [2, 1, 1, 1, 4, 3]);
  }
  const config = { model_type: "bert", vocab_size: 8 };
  const tokenizer = await loadTokenizer(await temporaryFiles({ "vocab.txt": lines, "config.json": config }));
  assert.deepEqual(tokenizer.encode("[MASK] a"), [2, 7, 4, 3]);
});

test("loadTokenizer() reads very many added tokens in linear time", async () => {
  const count = 100_000;
  const decoder = Object.fromEntries(
    Array.from({ length: count }, (_, i) => [8 + i, { content: `<extra_${i}>`, special: i % 2 === 0 }]),
  );
  const from = await temporaryFiles(settingsOf({ added_tokens_decoder: decoder }));
  const seconds = cpuClock();
  const tokenizer = await loadTokenizer(from);
  assert.deepEqual(tokenizer.encode(`a <extra_7> b<extra_${count - 1}>`), [2, 5, 15, 6, 7 + count, 3]);
  const text = "<extra_".repeat(20_000);
  assert.equal(tokenizer.encode(text, { maxLength: 10 }).length, 10);
  const taken = seconds();
  // About 1 s on a slow core; work that grows with the square of their number would take hours.
  assert(taken < 30, `took ${taken} s`);
});
