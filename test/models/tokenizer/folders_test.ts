import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { loadTokenizer } from "../../../src/models/mod.ts";
import { readGoldenTokenizers } from "../../support/golden_tokenizers.ts";
import { temporaryFiles } from "../../support/temporary_files.ts";

type Json = Record<string, unknown>;

/** A folder, and what AutoTokenizer of transformers 5.24 gives for it: test/golden/tokenizer_folders/generate.py. */
interface Case {
  readonly name: string;
  readonly base: string;
  readonly modelType: string;
  readonly tokenizerClass?: string;
  readonly vocabTxt: boolean;
  readonly edit: Json;
  readonly files: Record<string, Json>;
  readonly expected: {
    readonly error?: string;
    readonly size: number;
    readonly pad: number | null;
    readonly length: number;
    readonly texts: number[][];
    readonly pairs: number[][];
    readonly types: (number[] | null)[];
    /** None where transformers would join the words. */
    readonly words: [ids: number[], words: number[]][];
    readonly windows: [length: number, windows: number[][]];
  };
}

const golden = JSON.parse(
  gunzipSync(readFileSync(new URL("../../golden/tokenizer_folders/folders.json.gz", import.meta.url)))
    .toString(),
) as { texts: string[]; pairs: [string, string][]; words: string[][]; cases: Case[] };
const bases = readGoldenTokenizers().files;
const NO_LIMIT = 1e9;
const PADDED_LEFT = ["side_of_file", "side_generic_file", "side_padding"];
/** What the golden script cuts to where the model doesn't say. */
const LENGTH = 14;

function folderOf({ base, modelType, tokenizerClass, vocabTxt, edit, files }: Case) {
  const file = structuredClone(bases[base]!) as Json;
  for (const [key, value] of Object.entries(edit)) {
    file[key] = key === "model" ? { ...file[key] as Json, ...value as Json } : value;
  }
  const vocab = (file.model as { vocab: Record<string, number> }).vocab;
  const lines = Object.entries(vocab).sort(([, a], [, b]) => a - b).map(([token]) => `${token}\n`).join("");
  return temporaryFiles({
    ...(vocabTxt ? { "vocab.txt": lines } : { "tokenizer.json": file }),
    "config.json": { model_type: modelType, ...(tokenizerClass && { tokenizer_class: tokenizerClass }) },
    ...files,
  });
}

for (const each of golden.cases) {
  const { name, expected } = each;
  test(`loadTokenizer() reads a folder as transformers does: ${name}`, async () => {
    const loading = loadTokenizer(await folderOf(each));
    if (each.expected.error !== undefined) return await assert.rejects(loading, { name: "TokenizerError" });
    const tokenizer = await loading;
    const limit = expected.length < NO_LIMIT ? expected.length : LENGTH;
    assert.equal(Math.min(tokenizer.maxLength, NO_LIMIT), expected.length);
    assert.equal(tokenizer.vocabularySize, expected.size);
    if (expected.pad !== null) assert.equal(tokenizer.padId, expected.pad);
    assert.deepEqual(golden.texts.map((text) => tokenizer.encode(text)), expected.texts);
    for (const [i, [first, second]] of golden.pairs.entries()) {
      const batch = tokenizer.encodeBatch([first], { pairs: [second], maxLength: limit });
      assert.deepEqual([...batch.inputIds], expected.pairs[i]);
      assert.deepEqual(batch.tokenTypeIds === undefined ? null : [...batch.tokenTypeIds], expected.types[i]);
    }
    const words = golden.words.map((each) => tokenizer.encodeWords(each, { maxLength: limit }));
    if (expected.words.length > 0) {
      assert.deepEqual(words.map(({ inputIds, words }) => [inputIds, words]), expected.words);
    }
    const [first, second] = golden.pairs[0]!;
    const [maxLength, windows] = expected.windows;
    const see = () =>
      tokenizer.encodePair(first, second, { maxLength, stride: 1 }).map(({ inputIds }) => inputIds);
    if (PADDED_LEFT.includes(name)) {
      return assert.throws(see, { name: "TokenizerError", message: /padding_side/ });
    }
    // Where the left is cut, transformers gives the last window first.
    assert.deepEqual(name.startsWith("side_left") ? see().reverse() : see(), windows);
  });
}
