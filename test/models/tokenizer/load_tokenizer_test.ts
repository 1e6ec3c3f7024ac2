import assert from "node:assert/strict";
import { test } from "node:test";
import { loadTokenizer } from "../../../src/models/mod.ts";
import { hashTokens, readGoldenTokenizers } from "../../support/golden_tokenizers.ts";
import { oddStrings } from "../../support/odd_strings.ts";
import { temporaryFiles } from "../../support/temporary_files.ts";

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
      [{}, /there must be a tokenizer.json, got no vocabulary at all; Python's transformers writes one/],
      [{ "spm.model": "x" }, /there must be a tokenizer.json, got spm.model; .*save_pretrained/],
      [{ "vocab.json": {}, "merges.txt": "" }, /got vocab.json and merges.txt/],
      [{ "vocab.txt": "a\nb\n" }, /vocab.txt must have the token "\[CLS\]"/],
      [{ "tokenizer.json": "{" }, /tokenizer.json must be JSON/],
      [{ "tokenizer.json": "[]" }, /tokenizer.json must be an object, got a list/],
      [{ "tokenizer.json": {} }, /model must be an object, got nothing/],
      [
        { "tokenizer.json": files.bert!, "tokenizer_config.json": { model_max_length: 0 } },
        /model_max_length must be a number of tokens, at least 1, got 0/,
      ],
      [
        { "tokenizer.json": files.bert!, "special_tokens_map.json": { pad_token: "<none>" } },
        /the padding token "<none>" must be in the vocabulary/,
      ],
      [
        { "tokenizer.json": files.bert!, "tokenizer_config.json": { do_lower_case: "no" } },
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
