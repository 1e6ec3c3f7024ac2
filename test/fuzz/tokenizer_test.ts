import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { HfTokenizer, loadTokenizer } from "../../src/models/mod.ts";
import { fuzz } from "../support/fuzz.ts";
import { readGoldenTokenizers } from "../support/golden_tokenizers.ts";
import { mutateJson } from "../support/mutate.ts";
import { temporaryFiles } from "../support/temporary_files.ts";

type Json = Record<string, unknown>;

const golden = readGoldenTokenizers();
/** Tokens that are kept of each vocabulary, so that most edits are of something else. */
const KEPT = 150;
const TEXT = "The quick Brown fox isn't  <mask>lazy; 中文 e\u0301\u0323 ﬁ 👩‍🚀 [SEP] 3.14\r\n\u3000";
const TEXTS = [
  "",
  TEXT,
  TEXT.repeat(20),
  "a".repeat(3000),
  " ".repeat(3000) + "!",
  "\u0301\u0327".repeat(1500),
];

/** A small tokenizer.json of the same kind. */
function shorten(file: Json): Json {
  const model = file.model as { vocab: Json | unknown[]; merges?: [string, string][] };
  const vocab = Array.isArray(model.vocab)
    ? model.vocab.slice(0, KEPT)
    : Object.fromEntries(Object.entries(model.vocab).filter(([, id]) => (id as number) < KEPT));
  const has = (token: string) => Object.hasOwn(vocab, token);
  const merges = model.merges?.filter(([left, right]) => [left, right, left + right].every(has));
  const added = (file.added_tokens as { id: number }[]).filter(({ id }) => id < KEPT);
  return { ...file, added_tokens: added, model: { ...model, vocab, ...(merges && { merges }) } };
}

/** Uses every method; special tokens may leave no room. */
function useAll(tokenizer: HfTokenizer): void {
  try {
    encodeTexts(tokenizer);
  } catch (error) {
    if (!(error instanceof RangeError && error.message.startsWith("Cannot tokenize"))) throw error;
  }
}

function encodeTexts(tokenizer: HfTokenizer): void {
  assert(Number.isInteger(tokenizer.padId) && tokenizer.padId < tokenizer.vocabularySize);
  for (const text of TEXTS) {
    const { inputIds, spans } = tokenizer.encodeWithSpans(text, { maxLength: 5000 });
    assert(
      inputIds.length <= 5000 &&
        inputIds.every((id) => Number.isInteger(id) && id < tokenizer.vocabularySize),
    );
    for (const span of spans) assert(span === undefined || span[0] >= 0 && span[1] <= text.length);
  }
  tokenizer.encodeBatch(TEXTS, { pairs: TEXTS.toReversed(), maxLength: 100 });
  tokenizer.encodeWords(TEXTS, { maxLength: 100 });
  tokenizer.encodePair("fox", TEXT, { maxLength: 200, stride: 5 });
}

/** What a file holds; undefined if it isn't JSON, which loadTokenizer() tells. */
function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

const files = Object.values(golden.files).map(shorten);
const encode = (file: Json) => new TextEncoder().encode(JSON.stringify(file));

test("HfTokenizer of a broken tokenizer.json fails by name, or gives tokens of its vocabulary", async () => {
  await fuzz("tokenizer.json", (bytes) => {
    const file = parse(bytes);
    if (file !== undefined) useAll(new HfTokenizer(file));
  }, { corpus: files.map(encode), mutate: mutateJson, errors: ["TokenizerError"], runs: 300 });
});

test("loadTokenizer() of broken settings fails by name, or gives tokens of its vocabulary", async () => {
  const settings = {
    add_prefix_space: false,
    cls_token: "[CLS]",
    do_lower_case: true,
    mask_token: { content: "[MASK]", lstrip: false },
    model_input_names: ["input_ids", "attention_mask"],
    model_max_length: 512,
    pad_token: "[PAD]",
    strip_accents: null,
    unk_token: "[UNK]",
  };
  const { vocab } = shorten(golden.files.bert!).model as { vocab: Json };
  const settingsFiles = {
    "tokenizer_config.json": {
      ...settings,
      added_tokens_decoder: Object.fromEntries(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map((content, id) => [id, { content, special: true }]),
      ),
      extra_special_tokens: ["<new>", { content: "fox", lstrip: true, normalized: true }],
    },
    "added_tokens.json": { "<new>": KEPT, "lazy": KEPT + 1 },
    "special_tokens_map.json": {
      additional_special_tokens: ["<newer>", { content: "Brown", single_word: true }],
      mask_token: { content: "[MASK]", lstrip: true, normalized: false },
    },
    "config.json": { model_type: "bert", vocab_size: KEPT + 10 },
  };
  const vocabulary = Object.keys(vocab).sort((a, b) => (vocab[a] as number) - (vocab[b] as number)).join(
    "\n",
  );
  for (const [name, content] of Object.entries(settingsFiles)) {
    const from = await temporaryFiles({
      "vocab.txt": vocabulary,
      "tokenizer_config.json": settings,
      [name]: content,
    });
    useAll(await loadTokenizer(from));
    const path = await from.path(name);
    await fuzz(name, async (bytes) => {
      await writeFile(path!, bytes);
      useAll(await loadTokenizer(from));
    }, { corpus: [encode(content)], mutate: mutateJson, errors: ["TokenizerError"], runs: 50 });
  }
});
