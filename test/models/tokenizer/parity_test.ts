import assert from "node:assert/strict";
import { test } from "node:test";
import { HfTokenizer } from "../../../src/models/mod.ts";
import { hashTokens, readGoldenTokenizers } from "../../support/golden_tokenizers.ts";
import { fnv, oddStrings } from "../../support/odd_strings.ts";

const golden = readGoldenTokenizers();
const strings = oddStrings();
/** The strings from here on have 10⁵ characters, which take a second each; three tokenizers read them. */
const LONG = 996;
const READ_ALL = ["bert", "roberta", "xlm_roberta"];
/** Stands in the golden file where Python's windows have no proper places. */
const NO_WINDOWS = 0;
const tokenizers = new Map(Object.entries(golden.files).map(([name, file]) => [name, new HfTokenizer(file)]));

test("oddStrings() are those of the golden files", () => {
  assert.equal(
    fnv(strings.flatMap((text) => [...Array.from(text, (char) => char.codePointAt(0)!), 0])),
    golden.strings,
  );
});

for (const [name, tokenizer] of tokenizers) {
  const hashes = golden.hashes[name]!;

  test(`HfTokenizer.encodeWithSpans() equals Python's tokenizers on odd strings, ${name}`, () => {
    for (const [i, sample] of golden.samples[name]!.entries()) {
      const { inputIds, tokenTypeIds, spans } = tokenizer.encodeWithSpans(strings[7 + i]!);
      assert.deepEqual(
        { ids: inputIds, types: tokenTypeIds, spans: spans.map((span) => span ?? null) },
        sample,
      );
    }
    for (const [i, text] of strings.entries()) {
      if (i >= LONG && !READ_ALL.includes(name)) break;
      const started = performance.now();
      assert.equal(
        hashTokens(tokenizer.encodeWithSpans(text)),
        hashes[i],
        `string ${i}: ${text.slice(0, 100)}`,
      );
      const seconds = (performance.now() - started) / 1000;
      // About 1 s on a slow core; work that grows with the square of the length would take minutes.
      assert(seconds < 20, `string ${i} took ${seconds} s`);
    }
  });

  test(`HfTokenizer's pairs, words and windows equal those of Python's tokenizers, ${name}`, () => {
    for (let i = 0, at = strings.length; i < 990; i += 10) {
      const [first, second, third, fourth] = strings.slice(i, i + 4) as [string, string, string, string];
      const batch = tokenizer.encodeBatch([first], { pairs: [second], maxLength: 8 + i % 37 });
      const count = batch.attentionMask.indexOf(0) < 0 ? batch.length : batch.attentionMask.indexOf(0);
      const pair = {
        inputIds: [...batch.inputIds.slice(0, count)],
        tokenTypeIds: [...batch.tokenTypeIds!.slice(0, count)],
      };
      assert.equal(hashTokens(pair), hashes[at], `pair ${i}`);
      at++;
      const words = tokenizer.encodeWords(strings.slice(i, i + 9), { maxLength: 6 + i % 61 });
      assert.equal(hashTokens(words), hashes[at++], `words ${i}`);
      const question = Array.from(third).slice(0, 12).join("");
      const stride = i % 5;
      const taken = tokenizer.encodePair(question, "", { maxLength: 1000, stride: 0 })[0]!.inputIds.length;
      const maxLength = taken + stride + 1 + i % 7;
      const windows = tokenizer.encodePair(question, fourth.repeat(3), { maxLength, stride });
      const [whole, ...rest] = windows.map((window) => window.tokenTypeIds);
      for (const types of rest) {
        assert.deepEqual(types.slice(0, taken - 1), whole!.slice(0, taken - 1));
      }
      const hashed = windows.map((window, k) =>
        hashTokens(k === 0 ? window : { ...window, tokenTypeIds: [] })
      );
      if (hashes[at] !== NO_WINDOWS) assert.equal(fnv(hashed), hashes[at], `windows ${i}`);
      at++;
    }
  });
}
