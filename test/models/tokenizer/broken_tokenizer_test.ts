import assert from "node:assert/strict";
import { test } from "node:test";
import { HfTokenizer } from "../../../src/models/mod.ts";
import { cpuClock } from "../../support/cpu_clock.ts";

interface Steps {
  readonly [step: string]: unknown;
}

const WORD_PIECE = { type: "WordPiece", vocab: { "[PAD]": 0, "[UNK]": 1, a: 2, b: 3 }, unk_token: "[UNK]" };
const BPE = { type: "BPE", vocab: { "<pad>": 0, a: 1, b: 2, ab: 3 }, merges: [["a", "b"]] };
const UNIGRAM = { type: "Unigram", vocab: [["<pad>", 0], ["<unk>", 0], ["a", -1]], unk_id: 1 };
const make = (steps: Steps) => new HfTokenizer({ model: WORD_PIECE, ...steps });
const nested = (type: string, key: string, depth: number): unknown =>
  depth === 0 ? null : { type, [key]: [nested(type, key, depth - 1)] };

test("HfTokenizer names what is wrong with a tokenizer.json", () => {
  for (
    const [steps, message] of [
      [{ model: { type: "WordLevel" } }, /model.type "WordLevel" is not supported/],
      [
        { model: { ...WORD_PIECE, vocab: { a: -1 } } },
        /id of token "a" must be an integer from 0, .* got -1/,
      ],
      [{ model: { ...WORD_PIECE, vocab: { a: 2 ** 31 } } }, /id of token "a" must be .* got 2147483648/],
      [{ model: { ...WORD_PIECE, unk_token: "?" } }, /must have the unknown token "\?"/],
      [{ model: { ...BPE, merges: [["a", "c"]] } }, /merges\[0\] needs a token that model.vocab lacks: "c"/],
      [{ model: { ...BPE, merges: [["b", "a"]] } }, /merges\[0\] needs a token that model.vocab lacks: "ba"/],
      [{ model: { ...BPE, merges: ["a b c"] } }, /merges\[0\] must be two tokens, got "a b c"/],
      [{ model: { ...BPE, dropout: 0.1 } }, /model.dropout is not supported, got 0.1/],
      [{ model: { ...BPE, unk_token: "?" } }, /must have the unknown token "\?"/],
      [{ model: { ...UNIGRAM, vocab: [] } }, /unk_id must be below 0, got 1/],
      [{ model: { ...UNIGRAM, unk_id: null } }, /unk_id must be an integer/],
      [{ model: { ...UNIGRAM, vocab: [["a", null]] } }, /vocab\[0\] must be \[piece, score\]/],
      [
        { added_tokens: [{ id: 3, content: "a" }] },
        /tokenizer.json must give the token "a" the id 2 by the vocabulary, got 3/,
      ],
      [
        { added_tokens: [{ id: 9, content: "c" }] },
        /tokenizer.json must give the token "c" the id 4 by the vocabulary, got 9/,
      ],
      [{ added_tokens: [{ id: 4, content: "c", lstrip: 1 }] }, /lstrip must be true or false, got 1/],
      [{ normalizer: { type: "Nmt" } }, /normalizer.type "Nmt" is not supported/],
      [{ normalizer: nested("Sequence", "normalizers", 99) }, /must not be nested deeper than 8/],
      [
        { normalizer: { type: "Precompiled", precompiled_charsmap: "?" } },
        /precompiled_charsmap must be base64/,
      ],
      [
        { normalizer: { type: "Precompiled", precompiled_charsmap: "AAAA" } },
        /must hold a trie .* got 3 bytes/,
      ],
      [{ pre_tokenizer: nested("Sequence", "pretokenizers", 99) }, /must not be nested deeper than 8/],
      [{ pre_tokenizer: { type: "Metaspace", replacement: "__" } }, /replacement must be one character/],
      [{ pre_tokenizer: { type: "Punctuation", behavior: "None" } }, /behavior must be one of Removed, /],
      [{ post_processor: nested("Sequence", "processors", 99) }, /must not be nested deeper than 8/],
      [
        { post_processor: { type: "BertProcessing", cls: ["[A]", 9], sep: ["a", 2] } },
        /id 9, which no token has/,
      ],
      [{ post_processor: template([sequence("A"), sequence("A")]) }, /once, got A, A/],
      [{ post_processor: template([]) }, /once, got none/],
      [{ post_processor: template([sequence("B")]) }, /must have the parts A, got "B"/],
      [{ post_processor: template([sequence("A"), special("toString")]) }, /"toString"\] must be an object/],
      [{ padding: { pad_token: "?" } }, /padding token "\?" must be in the vocabulary/],
      [{ model: { ...WORD_PIECE, vocab: { "[UNK]": 0 } } }, /there must be a padding token/],
    ] as [Steps, RegExp][]
  ) {
    assert.throws(() => make(steps), (error: Error) => {
      assert.equal(error.name, "TokenizerError");
      assert.match(error.message, message);
      assert.match(error.message, /^Cannot read tokenizer: /);
      return true;
    });
  }
});

const sequence = (id: string) => ({ Sequence: { id, type_id: 0 } });
const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
function template(single: unknown[]) {
  return { type: "TemplateProcessing", single, pair: [sequence("A"), sequence("B")], special_tokens: {} };
}

test("HfTokenizer runs only patterns that take time in proportion to the text", () => {
  const split = (Regex: string) =>
    make({ pre_tokenizer: { type: "Split", pattern: { Regex }, behavior: "Removed" } });
  const texts = [" ", "a", "ab", "\n", "aé"].map((unit) => unit.repeat(50_000 / unit.length) + "!");
  for (
    const Regex of [
      " {2,}",
      "\\s+",
      "\\d|\\p{N}{1,3}",
      "a?b?[^\\s\\p{L}]+",
      " ?\\p{L}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
      "'s|'t|[\\p{Lu}a-f]{2}\\.",
    ]
  ) {
    const tokenizer = split(Regex);
    const seconds = cpuClock();
    for (const text of texts) tokenizer.encode(text);
    // About 0.1 s on a slow core.
    assert(seconds() < 10, Regex);
  }
  for (
    const Regex of [
      "(a+)+$",
      "(a|a)*b",
      "(a|ab)+",
      "a*",
      "a+b",
      "\\s*\\s*x",
      "a{1,}a{1,}b",
      "a?a?a?a?a?a",
      "(?=a)b",
      "(a)\\1",
      "a+(?!b)",
      "[a&&b]",
      "[z-a]",
      "\\p{Nonsense}",
      "(",
      "[",
      "a".repeat(1001),
      "",
    ]
  ) {
    assert.throws(() => split(Regex), { name: "TokenizerError" }, Regex);
  }
  for (const pattern of [{ String: "" }, { Regex: 5 }, {}, null]) {
    assert.throws(() => make({ normalizer: { type: "Replace", pattern, content: "" } }), {
      name: "TokenizerError",
    });
  }
});
