import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readExamples, readRows, type ReadRowsOptions } from "../../../../src/data/mod.ts";
import { temporaryFiles } from "../../../support/temporary_files.ts";

async function pathOf(lines: readonly string[]): Promise<string> {
  return (await (await temporaryFiles({ "d.conll": lines.join("\n") })).path("d.conll"))!;
}

async function read(lines: readonly string[], options: ReadRowsOptions = {}) {
  const path = await pathOf(lines);
  const notices: string[] = [];
  const set = await readRows(path, {
    onNotice: (notice) => notices.push(notice.replace(path, "d.conll")),
    ...options,
  });
  return { rows: set.rows, places: set.rows.map((_, i) => set.place(i).replace(path, "d.conll")), notices };
}

/** Words with their tags, a line each. */
const pairs = async (lines: readonly string[], options?: ReadRowsOptions) =>
  (await read(lines, options)).rows.map(({ tokens, tags }) =>
    (tokens as string[]).map((token, i) => `${token}/${(tags as string[])[i]}`).join(" ")
  );

async function refuses(lines: readonly string[], message: string, options: ReadRowsOptions = {}) {
  const path = await pathOf(lines);
  await assert.rejects(readRows(path, options), {
    name: "CorruptFileError",
    message: message.replace("d.conll", path),
  });
}

test("readRows() parts CoNLL at tabs alone, where there are any", async () => {
  assert.deepEqual(
    (await read(["left\tO", "New York\tB-LOC", "12\u00a0000\tO", "\u3000\tO", "a  b\tO"])).rows,
    [{
      tokens: ["left", "New York", "12\u00a0000", "\u3000", "a  b"],
      tags: ["O", "B-LOC", "O", "O", "O"],
    }],
  );
});

test("readRows() parts CoNLL at blanks, and never at other spaces of Unicode", async () => {
  const spaces = ["\u00a0", "\u2009", "\u202f", "\u3000", "\u0085", "\u2028", "\ufeff", "\v", "\f"];
  const lines = spaces.map((space) => ` 12${space}000  X O `);
  assert.deepEqual((await read(["EU NNP B-ORG", ...lines])).rows, [{
    tokens: ["EU", ...spaces.map((space) => `12${space}000`)],
    tags: ["B-ORG", ...spaces.map(() => "O")],
  }]);
});

test("readRows() passes over comments in front of a sentence of CoNLL, and keeps words that begin with #", async () => {
  assert.deepEqual(
    await pairs([
      "# text = EU",
      "#\thttp://example.org/a",
      "EU\tB-ORG",
      "#\tO",
      "#1\tO",
      "",
      "# new",
      "x\tO",
    ]),
    ["EU/B-ORG #/O #1/O", "x/O"],
  );
  // As many columns, and tags that others have: words; `#win` leads its sentence.
  assert.deepEqual(await pairs(["# O", "1 O", "", "#win B-X", "# O", "x O", "", "# newdoc", "y O"]), [
    "#/O 1/O",
    "#win/B-X #/O x/O",
    "y/O",
  ]);
  assert.deepEqual(await pairs(["# SYM", "1 NUM", "", "#a NUM", "", "2 NUM", "# SYM"]), [
    "#/SYM 1/NUM",
    "#a/NUM",
    "2/NUM #/SYM",
  ]);
  assert.deepEqual((await read(["# a", "# b c d", "x O", "", "# c", "", "y O"])).places, [
    "line 3 of d.conll",
    "line 7 of d.conll",
  ]);
});

test("readRows() finds a first column of CoNLL that numbers the words", async () => {
  const germEval = [
    "#\thttp://example.org [2009-10-17]",
    "1\tSie\tO\tO",
    "2\tin\tO\tO",
    "3\tBern\tB-LOC\tB-X",
  ];
  const found = await read([...germEval, "", "# n", "1\tJa\tO\tO"]);
  assert.deepEqual(found.rows, [
    { tokens: ["Sie", "in", "Bern"], tags: ["O", "O", "B-LOC"] },
    { tokens: ["Ja"], tags: ["O"] },
  ]);
  assert.deepEqual(found.notices, [
    'd.conll: tags are read from column 3 of 4; for another, name the columns by header, such as ["","tokens","","tags"]',
  ]);
  const inner = { header: ["", "tokens", "outer", "tags"] };
  assert.deepEqual(await pairs(germEval, inner), ["Sie/O in/O Bern/B-X"]);
  assert.deepEqual(await pairs(["1 a X", "2 b Y"]), ["a/X b/Y"]);
  assert.deepEqual(await pairs(["1 a DT B-X", "2 b NN O"]), ["a/B-X b/O"]);
  // Numbers that don't count the words are words.
  assert.deepEqual(await pairs(["1 CD O", "3 CD O"]), ["1/O 3/O"]);
  assert.deepEqual(await pairs(["1 O", "2 O"]), ["1/O 2/O"]);
});

test("readRows() takes for comments and numbers of words only what is", async () => {
  // A file whose first column numbers the words has comments that look like words, a file that doesn't words like ranges.
  assert.deepEqual(await pairs(["#\tsource\tO\tO", "1\tSie\tO\tO", "2\tin\tB-X\tO"]), ["Sie/O in/B-X"]);
  assert.deepEqual(await pairs(["1-2 O", "2.1 B-X", "a O"]), ["1-2/O 2.1/B-X a/O"]);
  const header = ["note", "tokens", "tags"];
  assert.deepEqual(await pairs(["x\ta\tO", "\tb\tO"], { header }), ["a/O b/O"]);
});

test("readRows() finds no sentence in CoNLL of comments alone", async () => {
  for (const lines of [[], ["", "-DOCSTART- O", ""], ["# a", "# b c", "", "# d"]]) {
    assert.deepEqual((await read(lines)).rows, []);
  }
});

test("readRows() reads CoNLL-U by named columns, without ranges and empty nodes", async () => {
  const line = (id: string, form: string, tag: string) => [id, form, "_", tag, ..."______"].join("\t");
  const lines = [
    "# text = vámonos al mar",
    line("1-2", "vámonos", "_"),
    line("1", "vamos", "VERB"),
    line("2", "nos", "PRON"),
    line("2.1", "x", "X"),
    line("3", "#", "SYM"),
  ];
  const header = ["id", "tokens", "lemma", "tags", "xpos", "feats", "head", "deprel", "deps", "misc"];
  assert.deepEqual(await pairs(lines, { header }), ["vamos/VERB nos/PRON #/SYM"]);
  await refuses(
    lines,
    "Cannot read d.conll: its lines have 10 columns, the first of which numbers the words, and it isn't clear which one has the " +
      'tags; name the columns by header, such as ["","tokens","","tags","","","","","",""]',
  );
  const path = await pathOf(lines);
  const columns = { tokensColumn: "lemma", tagsColumn: "upos" };
  const named = header.with(3, "upos").with(1, "form");
  const [example] = await readExamples(path, "token-classification", { header: named, columns });
  assert.deepEqual(example, { tokens: ["_", "_", "_"], tags: ["VERB", "PRON", "SYM"] });
});

test("readRows() refuses CoNLL by the line whose columns are other ones, or whose word or tag is missing", async () => {
  await refuses(
    ["EU B-ORG", "rejects"],
    "Cannot read line 2 of d.conll: expected a word and its tag, got rejects",
  );
  await refuses(
    ["EU\tB-ORG", "", "# x", "a\tb\tO"],
    "Cannot read line 4 of d.conll: expected 2 columns, as line 1 has, not 3, got a b O",
  );
  await refuses(
    ["EU\tB-ORG", "# comment", "x\tO"],
    "Cannot read line 2 of d.conll: expected a word and its tag, got # comment",
  );
  await refuses(
    ["EU\tB-ORG", "\tO"],
    "Cannot read line 2 of d.conll: expected a word and its tag, got no word",
  );
  await refuses(
    ["EU\tB-ORG", "", "x\tO", "\tO", "\tO"],
    "Cannot read line 4 of d.conll: expected a word and its tag, got no word",
  );
  await refuses(["\tO"], "Cannot read line 1 of d.conll: expected a word and its tag, got no word");
  await refuses(
    ["x O", "", "# a comment", "#win B-X", "# c d", "y O"],
    "Cannot read line 5 of d.conll: expected 2 columns, as line 1 has, not 3, got # c d",
  );
  await refuses(
    ["a b c d e"],
    "Cannot read d.conll: its lines have 5 columns, and it isn't clear which one has the tags; name the columns by header, such " +
      'as ["tokens","","","","tags"]',
  );
  await refuses(["a b O"], "Cannot read line 1 of d.conll: expected 2 columns, as header names, got 3", {
    header: ["tokens", "tags"],
  });
  const path = await pathOf(["-DOCSTART-\tO", "", "EU\tB-ORG", "a\t"]);
  await assert.rejects(readExamples(path, "token-classification"), {
    message: /^Cannot read line 3 of .*: column tags must have a label at item 2, got ""; fill it in/,
  });
});

test("readRows() gives back any words and tags that stand in CoNLL", async () => {
  const word = fc.string({ unit: "grapheme", minLength: 1, maxLength: 4 })
    .filter((text) =>
      /^[^\t\r\n]+$/.test(text) && text.isWellFormed() && text.trim() !== "" && text[0] !== "\ufeff"
    );
  const token = fc.tuple(word, fc.constantFrom("O", "B-A", "I-A"));
  const sentences = fc.array(fc.array(token, { minLength: 1 }), { minLength: 1 });
  await fc.assert(
    fc.asyncProperty(sentences, async (all) => {
      // The first word settles what a line is like.
      const whole = [[["a", "O"]], ...all];
      const lines = whole.flatMap((sentence) => [...sentence.map((pair) => pair.join("\t")), ""]);
      assert.deepEqual((await read(lines)).rows.map(({ tokens, tags }) => [tokens, tags]), [
        ...whole.map((sentence) => [sentence.map(([text]) => text), sentence.map(([, tag]) => tag)]),
      ]);
    }),
    { numRuns: 50 },
  );
});

test("readRows() takes blanks around tags of CoNLL for nothing, and those inside of them for text", async () => {
  assert.deepEqual(
    await pairs(["New York \tNNP \tB-Geo place ", " \t_\t O", " ", "x\t \tO"]),
    ["New York /B-Geo place  /O", "x/O"],
  );
});

test("readRows() refuses CoNLL whose columns are separated by tabs and by blanks", async () => {
  await refuses(
    ["EU\tNNP B-ORG", "rejects\tVBZ O"],
    "Cannot read d.conll: blanks split its column 2, where the tags would be, further in each line; separate all columns by " +
      "tabs alone, or all by blanks alone",
  );
  // Where the first line has no tab, blanks and tabs are alike.
  assert.deepEqual(await pairs(["EU NNP B-ORG", "rejects\tVBZ O"]), ["EU/B-ORG rejects/O"]);
});

test("readRows() refuses CoNLL that has its tags in front of its words", async () => {
  await refuses(
    ["B-ORG\tEU", "O\trejects"],
    "Cannot read d.conll: its words, in column 1, look like tags, and its tags, in the last, don't; name the columns by " +
      'header, such as ["tags","tokens"]',
  );
  const { rows } = await read(["B-ORG\tEU", "O\trejects"], { header: ["tags", "tokens"] });
  assert.deepEqual(rows, [{ tags: ["B-ORG", "O"], tokens: ["EU", "rejects"] }]);
  assert.deepEqual(await pairs(["I-95 O", "O B-PER"]), ["I-95/O O/B-PER"]);
});

test("readRows() reads CoNLL files that were joined, and words with NUL", async () => {
  assert.deepEqual(await pairs(["\ufeffEU B-ORG", "", "\ufeffx O"]), ["EU/B-ORG", "x/O"]);
  assert.deepEqual(await pairs(["E\0U B-ORG"]), ["E\0U/B-ORG"]);
});
