import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { exampleKinds, readExamples, toExamples } from "../../../src/data/examples/read_examples.ts";
import type { RowSet } from "../../../src/data/rows/row_set.ts";
import { temporaryFolder } from "../../support/temporary_files.ts";

/** Rows as a file would give them. */
function setOf(rows: Record<string, unknown>[], classNames: Record<string, string[]> = {}): RowSet {
  return {
    rows,
    columns: new Set(rows.flatMap(Object.keys)),
    classNames: new Map(Object.entries(classNames)),
    place: (i) => `row ${i + 1} of x`,
  };
}

const golden = (name: string) => fileURLToPath(new URL(`../../golden/data/${name}`, import.meta.url));

describe("toExamples()", () => {
  it("toExamples() makes texts and pairs of classes", () => {
    const rows = setOf([
      { premise: "a", hypothesis: "b", gold: "yes", who: 7 },
      { premise: "", hypothesis: "c", gold: false, who: 12345678901234567890n },
    ]);
    const columns = {
      textColumn: "premise",
      textPairColumn: "hypothesis",
      labelColumn: "gold",
      keyColumn: "who",
    };
    assert.deepEqual(toExamples("sequence-classification", rows, columns), [
      { text: "a", textPair: "b", label: "yes", key: "7" },
      { text: "", textPair: "c", label: "false", key: "12345678901234567890" },
    ]);
  });

  it("toExamples() names the classes that numbers stand for, as it is told or the file says", () => {
    const rows = [{ text: "a", label: 1 }, { text: "b", label: 0 }];
    const labels = (set: RowSet, classNames?: string[]) =>
      toExamples("sequence-classification", set, { ...(classNames && { classNames }) }).map(({ label }) =>
        label
      );
    assert.deepEqual(labels(setOf(rows)), ["1", "0"]);
    assert.deepEqual(labels(setOf(rows, { label: ["no", "yes"] })), ["yes", "no"]);
    assert.deepEqual(labels(setOf(rows, { label: ["no", "yes"] }), ["-", "+"]), ["+", "-"]);
    for (const label of [2, -2, 0.5, true]) {
      assert.throws(() => labels(setOf([{ text: "a", label }], { label: ["no", "yes"] })), {
        name: "CorruptFileError",
        message:
          `Cannot read row 1 of x: column label must be the number of a class, less than 2, got ${label}`,
      });
    }
  });

  it("toExamples() makes labels of a list, of text, or of a column each", () => {
    const kind = "multi-label-classification";
    const listed = setOf([{ text: "a", labels: ["x", "y"] }, { text: "b", labels: [] }, {
      text: "c",
      labels: [1],
    }]);
    assert.deepEqual(toExamples(kind, listed).map(({ labels }) => labels), [["x", "y"], [], ["1"]]);
    const numbered = setOf([{ text: "a", labels: [2, 0] }], { labels: ["joy", "fear", "love"] });
    assert.deepEqual(toExamples(kind, numbered).map(({ labels }) => labels), [["love", "joy"]]);
    const joined = setOf([{ text: "a", tags: "x; y" }, { text: "b", tags: "" }]);
    const columns = { labelColumns: "tags", separator: ";" };
    assert.deepEqual(toExamples(kind, joined, columns).map(({ labels }) => labels), [["x", "y"], []]);
    const parted = setOf([{ text: "a", toxic: "1", rude: 0, sad: "FALSE" }, {
      text: "b",
      toxic: 0,
      rude: true,
      sad: "true",
    }]);
    assert.deepEqual(toExamples(kind, parted, { labelColumns: ["toxic", "rude", "sad"] }), [
      { text: "a", labels: ["toxic"] },
      { text: "b", labels: ["rude", "sad"] },
    ]);
    assert.throws(() => toExamples(kind, joined, { labelColumns: "tags" }), {
      message: 'Cannot read row 1 of x: column tags must be a list (or text, with a separator), got "x; y"',
    });
    assert.throws(() => toExamples(kind, parted, { labelColumns: ["text"] }), {
      message: 'Cannot read row 1 of x: column text must be 1 or 0, true or false, got "a"',
    });
  });

  it("toExamples() makes numbers of numbers and of text", () => {
    const values = [3, "2.5", " -1e3 ", "0"];
    const set = setOf(values.map((label) => ({ text: "a", label })));
    assert.deepEqual(toExamples("regression", set).map(({ value }) => value), [3, 2.5, -1000, 0]);
    for (const score of ["x", Infinity, "1e999", [], true]) {
      assert.throws(() => toExamples("regression", setOf([{ text: "a", score }]), { valueColumn: "score" }), {
        name: "CorruptFileError",
        message: /column score must be a number, got/,
      });
    }
  });

  it("toExamples() asks for a decimal point where there is a comma", () => {
    assert.throws(() => toExamples("regression", setOf([{ text: "a", label: "1,5" }])), {
      message: 'Cannot read row 1 of x: column label must be a number with a decimal point, got "1,5"',
    });
  });

  it("toExamples() takes a number from the column value where there is no label", () => {
    const numbers = (row: Record<string, unknown>) =>
      toExamples("regression", setOf([row])).map(({ value }) => value);
    assert.deepEqual(numbers({ text: "a", value: 2.5 }), [2.5]);
    assert.deepEqual(numbers({ text: "a", value: 2.5, label: 1 }), [1]);
    assert.throws(
      () => numbers({ text: "a", score: 2.5 }),
      /column label must be a number.*the columns are text, score/,
    );
  });

  it("toExamples() makes several numbers of a list, or of several columns", () => {
    const set = setOf([{ text: "a", valence: 1, arousal: "0.5", both: [1, "0.5"] }]);
    for (const valueColumn of ["both", ["valence", "arousal"]]) {
      assert.deepEqual(toExamples("regression", set, { valueColumn }), [{ text: "a", value: [1, 0.5] }]);
    }
    const odd = setOf([{ text: "a", valence: 1, arousal: "x", both: [1, "x"] }]);
    for (const [valueColumn, column] of [["both", "both"], [["valence", "arousal"], "arousal"]] as const) {
      assert.throws(() => toExamples("regression", odd, { valueColumn }), {
        message: new RegExp(`Cannot read row 1 of x: column ${column} must be a (list of )?numbers?, got`),
      });
    }
  });

  it("toExamples() makes tagged words of lists and of text, as many tags as words", () => {
    const kind = "token-classification";
    const set = setOf([{ tokens: ["EU", "7"], ner: [1, 0] }, { tokens: [], ner: [] }], {
      ner: ["O", "B-ORG"],
    });
    assert.deepEqual(toExamples(kind, set, { tagsColumn: "ner" }), [
      { tokens: ["EU", "7"], tags: ["B-ORG", "O"] },
      { tokens: [], tags: [] },
    ]);
    const text = setOf([{ tokens: "EU rejects  it", tags: "B-ORG O O" }]);
    assert.deepEqual(toExamples(kind, text, { separator: " " }), [
      { tokens: ["EU", "rejects", "it"], tags: ["B-ORG", "O", "O"] },
    ]);
    assert.throws(() => toExamples(kind, setOf([{ tokens: ["a"], tags: [] }])), {
      message: "Cannot read row 1 of x: columns tokens and tags must be of one length, got 1 and 0",
    });
    assert.throws(() => toExamples(kind, setOf([{ tokens: ["a", null], tags: [] }])), {
      message: "Cannot read row 1 of x: column tokens must be text or a number, got null",
    });
  });

  it("toExamples() lists the columns there are when one is missing", () => {
    assert.throws(() => toExamples("sequence-classification", setOf([{ txt: "a", label: "b" }])), {
      name: "CorruptFileError",
      message:
        'Cannot read row 1 of x: column text must be text, got nothing; the columns are txt, label; did you mean "txt"?',
    });
    assert.throws(
      () => toExamples("sequence-classification", setOf([{ label: "b" }]), { textColumn: "toString" }),
      {
        message: /column toString must be text, got nothing/,
      },
    );
    assert.throws(() => toExamples("translation" as "regression", setOf([])), RangeError);
    assert.equal(exampleKinds.length, 5);
  });
});

describe("toExamples() of questions", () => {
  const kind = "question-answering";
  const context = "The 😀 cost 308 points";
  const row = (answers: unknown, rest: object = {}) =>
    setOf([{ id: "q", question: "?", context, answers, ...rest }]);

  it("toExamples() takes answers in each of their forms, and counts their places in UTF-16 units", () => {
    // "308" is code point 11, and unit 12.
    const answers = [{ text: "308", start: 12 }, { text: "The 😀", start: 0 }];
    for (
      const form of [
        { text: ["308", "The 😀"], answer_start: [11, 0] },
        [{ text: "308", answer_start: 11 }, { text: "The 😀", answer_start: 0 }],
        '{"text": ["308", "The 😀"], "answer_start": [11, 0]}',
      ]
    ) {
      assert.deepEqual(toExamples(kind, row(form)), [{ id: "q", question: "?", context, answers }]);
    }
    for (const none of [{ text: [], answer_start: [] }, [], null, "[]"]) {
      assert.deepEqual(toExamples(kind, row(none))[0]!.answers, []);
    }
    // What SQuAD 2 and its exports write for a question that the text doesn't answer.
    for (
      const none of [
        { text: [""], answer_start: [-1] },
        { text: [""], answer_start: [0] },
        { text: ["", " "], answer_start: [] },
        { text: [null], answer_start: [null] },
        { text: "", answer_start: -1 },
        [{ text: "", answer_start: -1 }],
        '{"text": [""], "answer_start": [-1]}',
        "",
        " ",
        "NaN",
      ]
    ) assert.deepEqual(toExamples(kind, row(none))[0]!.answers, [], JSON.stringify(none));
    const plausible = [{ text: "308", answer_start: 11 }];
    for (const mark of [true, 1, "True"]) {
      const [marked] = toExamples(kind, row(plausible, { is_impossible: mark }));
      assert.deepEqual(marked!.answers, []);
    }
    const unanswered = row([], { is_impossible: false, plausible_answers: plausible });
    assert.deepEqual(toExamples(kind, unanswered)[0]!.answers, []);
    assert.equal(toExamples(kind, row(plausible, { is_impossible: false }))[0]!.answers.length, 1);
    const mixed = toExamples(kind, row({ text: ["", "308"], answer_start: [-1, 11] }));
    assert.deepEqual(mixed[0]!.answers, [{ text: "308", start: 12 }]);
    const single = toExamples(kind, row({ text: "308", answer_start: 11 }));
    assert.deepEqual(single[0]!.answers, [{ text: "308", start: 12 }]);
    assert.throws(() => toExamples(kind, row([{ text: "The", answer_start: -1 }])), {
      message: /^Cannot read row 1 of x: answer "The" must stand at character -1 of column context/,
    });
    const { answers: found } = toExamples(kind, row([{ text: "308", answer_start: 11 }]))[0]!;
    for (const { text, start } of found) assert.equal(context.slice(start, start + text.length), text);
  });

  it("toExamples() finds each answer at the place that code points give", () => {
    const text = fc.string({
      unit: fc.constantFrom("a", "é", "漢", "😀", "𝒳", "e\u0301", "\u{1f468}\u200d\u{1f469}"),
    });
    fc.assert(fc.property(text, text, text, (before, answer, after) => {
      const whole = before + answer + after;
      const stated = { text: answer, answer_start: [...before].length };
      const [example] = toExamples(kind, setOf([{ question: "", context: whole, answers: [stated] }]));
      assert.deepEqual(example!.answers, answer === "" ? [] : [{ text: answer, start: before.length }]);
      assert.equal(example!.id, "0");
    }));
  });

  it("toExamples() refuses answers that aren't there, or drops them when told to", () => {
    const wrong = [{ text: "309", answer_start: 11 }];
    assert.throws(() => toExamples(kind, row(wrong)), {
      name: "CorruptFileError",
      message:
        `Cannot read row 1 of x: answer "309" must stand at character 11 of column context, where there is "308"; the ` +
        "context doesn't hold it",
    });
    assert.throws(() => toExamples(kind, row([{ text: "x", answer_start: 1e9 }])), {
      message: /there is ""; the context doesn't hold it$/,
    });
    const dropped: string[] = [];
    const columns = { misplacedAnswers: "drop", onDrop: (message: string) => dropped.push(message) } as const;
    assert.deepEqual(toExamples(kind, row(wrong), columns), []);
    const one = toExamples(kind, row([...wrong, { text: "308", answer_start: 11 }]), columns);
    assert.deepEqual(one[0]!.answers, [{ text: "308", start: 12 }]);
    assert.equal(dropped.length, 2);
  });

  it("toExamples() refuses answers of another form", () => {
    for (
      const bad of [
        undefined,
        3,
        "308",
        {},
        { text: ["308"] },
        { text: ["308"], answer_start: [] },
        { text: [3], answer_start: [11] },
        [null],
        [["308", 11]],
        [{ text: "308", answer_start: "11" }],
      ]
    ) {
      assert.throws(() => toExamples(kind, row(bad)), {
        name: "CorruptFileError",
        message: /column answers must be answers, \{ text/,
      });
    }
  });
});

describe("readExamples()", () => {
  const folder = temporaryFolder();

  it("readExamples() reads the Parquet files of other programs", async () => {
    const questions = await readExamples(golden("questions_zstd.parquet"), "question-answering");
    assert.deepEqual(questions.map(({ id, answers }) => [id, answers]), [
      ["q1", [{ text: "308", start: 12 }, { text: "308 points", start: 12 }]],
      ["q2", []],
      ["q3", [{ text: "12", start: 33 }]],
    ]);
    await assert.rejects(readExamples(golden("tokens_gzip.parquet"), "token-classification"), {
      name: "CorruptFileError",
      message:
        /row 1 of .*: column tags must be a list .* got nothing; the columns are tokens, ner_tags, old/,
    });
    await assert.rejects(readExamples(golden("texts_snappy.parquet"), "sequence-classification"), {
      name: "CorruptFileError",
      message: /row 4 of .*: column text must be text, got null$/,
    });
  });

  it("readExamples() says when there are none", async () => {
    const path = join(folder, "empty.csv");
    await writeFile(path, "text,label\n");
    await assert.rejects(readExamples(path, "sequence-classification"), {
      name: "CorruptFileError",
      message: `Cannot read examples: ${path} holds none`,
    });
    await writeFile(path, "text,label\na,b\n");
    assert.deepEqual(await readExamples([path, path], "sequence-classification"), [
      { text: "a", label: "b" },
      { text: "a", label: "b" },
    ]);
  });
});
