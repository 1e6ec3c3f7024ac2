import assert from "node:assert/strict";
import { test } from "node:test";
import { readFile as read } from "./read_file.ts";

const several = "multi-label-classification";

/** Labels of the rows of a CSV file with these cells. */
async function labelsOf(cells: readonly string[], columns = {}) {
  const lines = cells.map((cell) => `t,"${cell.replaceAll('"', '""')}"`);
  const result = await read(several, ["d.csv", ["text,labels", ...lines].join("\n")], { columns });
  return result.error ?? result.examples!.map(({ labels }) => labels);
}

test("readExamples() reads lists of labels that a table holds as JSON or Python writes them", async () => {
  // str() and json.dumps() of lists; what pandas writes of lists of NumPy's numbers.
  const cells: [string, string[]][] = [
    ["['p', 'q']", ["p", "q"]],
    ["('p', 'q',)", []],
    ['["p", "q"]', ["p", "q"]],
    ["[]", []],
    ["['it\\'s', \"d'or\", 'caf\\xe9', '\\u00e9\\U0001f600\\\\']", ["it's", "d'or", "café", "é😀\\"]],
    ["[1, 9007199254740993, -2, True]", ["1", "9007199254740993", "-2", "true"]],
    ["[np.int64(3), np.str_('x')]", ["3", "x"]],
    ["array(['a', 'b'], dtype='<U1')", []],
  ];
  for (const [cell, labels] of cells) {
    const found = await labelsOf([cell]);
    if (cell.startsWith("[")) assert.deepEqual(found, [labels], cell);
    else assert.match(String(found), /^Cannot read line 2 of d\.csv: column labels must be a list/);
  }
  const separated = await labelsOf(["['p', 'q']", "p, q", "[]", "[p], q"], { separator: "," });
  assert.deepEqual(separated, [["p", "q"], ["p", "q"], [], ["[p]", "q"]]);
});

test("readExamples() refuses lists whose parts it can't tell", async () => {
  // str() of NumPy's arrays, as datasets' to_csv() writes lists; Python would join the texts.
  for (const cell of ["['p' 'q']", "[0 1]", "[p, q]", "['p', ...]", "['p'", "[1, 2"]) {
    const form = cell.endsWith("]") ? " with commas, as JSON or Python writes it" : "";
    assert.equal(
      await labelsOf(["['a']", cell]),
      `Cannot read line 3 of d.csv: column labels must be a list${form} (or text, with a separator), got "${cell}"`,
    );
  }
  assert.match(
    String(await labelsOf(["[".repeat(100) + "x" + "]".repeat(100)])),
    /must be a list with commas/,
  );
});

test("readExamples() reads words and tags of lists that a table holds", async () => {
  const content = `tokens,tags\n"['EU', '[']","['B-ORG', 'O']"\n`;
  const expected = [{ tokens: ["EU", "["], tags: ["B-ORG", "O"] }];
  for (const columns of [{}, { separator: " " }]) {
    assert.deepEqual(
      (await read("token-classification", ["d.csv", content], { columns })).examples,
      expected,
    );
  }
  // Brackets that are words.
  const words = await read("token-classification", ["d.csv", "tokens,tags\n[ 1 ],O O O\n"], {
    columns: { separator: " " },
  });
  assert.deepEqual(words.examples, [{ tokens: ["[", "1", "]"], tags: ["O", "O", "O"] }]);
});

test("readExamples() finds lists of a 1 or 0 for each label", async () => {
  const lists = {
    numbers: ["[1,0,0]", "[0,1,1]"],
    decimals: ["[1.0,0.0,0.0]", "[0.0,1.0,1.0]"],
    words: ["[true,false,false]", "[false,true,true]"],
  };
  for (const [form, [first, second]] of Object.entries(lists)) {
    const content = `{"text":"a","labels":${first}}\n{"text":"b","labels":${second}}\n`;
    const plain = await read(several, ["d.jsonl", content]);
    assert.deepEqual(plain.examples?.map(({ labels }) => labels), [["0"], ["1", "2"]], form);
    assert.deepEqual(plain.classNames, ["0", "1", "2"]);
    assert.deepEqual(plain.notices, [
      'Lists of labels have 1 or 0 for each of 3: "0", "1", "2"; set labels to name them',
    ]);
    const named = await read(several, ["d.jsonl", content], { labels: ["joy", "fear", "anger"] });
    assert.deepEqual(named.examples?.map(({ labels }) => labels), [["joy"], ["fear", "anger"]]);
    assert.deepEqual(named.classNames, ["joy", "fear", "anger"]);
    assert.deepEqual(named.notices, ['Lists of labels have 1 or 0 for each of 3: "joy", "fear", "anger"']);
    const table = await read(several, ["d.csv", `text,labels\na,"${first}"\nb,"${second}"\n`]);
    assert.deepEqual(table.examples, plain.examples);
  }
  const { error } = await read(several, ["d.jsonl", '{"text":"a","labels":[0,0,1]}'], { labels: ["a", "b"] });
  assert.equal(
    error,
    "Cannot read line 1 of d.jsonl: column labels has 1 or 0 for each of 3 labels, but 2 are named",
  );
});

test("readExamples() takes lists of numbers for the labels that apply where they may be", async () => {
  for (
    const lists of [["[0,1]", "[0,1]"], ["[1,0]", "[2]"], ["[1,0,0]", "[0,1]"], ["[0]", "[1]"], [
      "[1,2]",
      "[2,1]",
    ]]
  ) {
    const content = lists.map((list) => `{"text":"a","labels":${list}}`).join("\n");
    const { examples, classNames } = await read(several, ["d.jsonl", content]);
    assert.deepEqual(
      examples?.map(({ labels }) => labels),
      lists.map((list) => JSON.parse(list).map(String)),
    );
    assert.equal(classNames, undefined);
  }
});

test("readExamples() reads numbers of lists and of text as decimal ones", async () => {
  const rows = ["[1.5]", '" 2.5e0 "', '"[3]"', ".5"].map((value) => `{"text":"a","label":${value}}`);
  rows[3] = '{"text":"a","label":".5"}';
  const { examples } = await read("regression", ["d.jsonl", rows.join("\n")]);
  assert.deepEqual(examples?.map(({ value }) => value), [1.5, 2.5, 3, 0.5]);
  const pairs = await read("regression", ["d.csv", 'text,label\na,"[1, 2.5]"\n']);
  assert.deepEqual(pairs.examples, [{ text: "a", value: [1, 2.5] }]);
  for (const text of ["0x10", "0b1", "1_000", "50%", "Infinity", "−2", "[1. 2.]"]) {
    const { error } = await read("regression", ["d.csv", `text,label\na,${text}\n`]);
    assert.equal(error, `Cannot read line 2 of d.csv: column label must be a number, got "${text}"`);
  }
});

test("readExamples() reads the answers that pandas and datasets write into tables", async () => {
  // Dataset.to_csv() of SQuAD's answers, str() of the dictionary, and json.dumps() of it.
  const cells = [
    "{'text': array(['you', 'you'], dtype=object), 'answer_start': array([3, 3], dtype=int32)}",
    "{'text': ['you', 'you'], 'answer_start': [3, 3]}",
    "[{'text': 'you', 'answer_start': np.int64(3)}, {'text': 'you', 'answer_start': 3}]",
    '{"text": ["you", "you"], "answer_start": [3, 3]}',
  ];
  for (const cell of cells) {
    const content = `id,question,context,answers\n1,q,hi you,"${cell.replaceAll('"', '""')}"\n`;
    const { examples } = await read("question-answering", ["d.csv", content]);
    assert.deepEqual(examples?.[0]?.answers, [{ text: "you", start: 3 }, { text: "you", start: 3 }], cell);
  }
  const none = "{'text': array([], dtype=object), 'answer_start': array([], dtype=int32)}";
  const { examples } = await read("question-answering", [
    "d.csv",
    `question,context,answers\nq,c,"${none}"\n`,
  ]);
  assert.deepEqual(examples?.[0]?.answers, []);
});

test("readExamples() says where questions contradict themselves or share an id", async () => {
  const answers = [{ text: "you", answer_start: 3 }];
  const questions = [
    { id: "1", answers, is_impossible: true },
    { id: "2", answers: [], is_impossible: false },
    { id: "2", answers, is_impossible: false },
    { id: "3", answers: [], is_impossible: true },
  ];
  const lines = questions.map((each) => JSON.stringify({ question: "q", context: "hi you", ...each }));
  const { examples, notices } = await read("question-answering", ["d.jsonl", lines.join("\n")]);
  assert.deepEqual(examples?.map((each) => each.answers.length), [0, 0, 1, 0]);
  assert.deepEqual(notices, [
    "Questions taken as unanswerable, since is_impossible says so, though they have answers: 1 of 4 examples, the first at " +
    "line 1 of d.jsonl",
    "Questions taken as unanswerable, since they have no answers, though is_impossible is false: 1 of 4 examples, the first at " +
    "line 2 of d.jsonl",
    "Questions with the id of another one: 1 of 4 examples, the first at line 3 of d.jsonl",
  ]);
});

test("readExamples() takes any space for another in answers, and says where an answer stands instead", async () => {
  const ask = (context: string, text: string, start: number) => {
    const row = { id: "1", question: "q", context, answers: [{ text, answer_start: start }] };
    return read("question-answering", ["d.jsonl", JSON.stringify(row)]);
  };
  const spaced = await ask("hi you\u00a0all", "you all", 3);
  assert.deepEqual(spaced.examples?.[0]?.answers, [{ text: "you all", start: 3 }]);
  const errors: [string, string, number, string][] = [
    // Counted in UTF-16, in bytes, and before blanks in front were cut.
    ["😀😀hi you", "you", 7, 'there is "u"; it stands at 5, counted in code points as Python does'],
    ["ééhi you", "you", 7, 'there is "u"; it stands at 5, counted in code points as Python does'],
    ["  hi you", "you", 3, 'there is "i y"; it stands at 5, counted in code points as Python does'],
    ["you or you", "you", 1, 'there is "ou "'],
    ["Paris is", "paris", 0, 'there is "Paris"; the context doesn\'t hold it'],
  ];
  for (const [context, text, start, end] of errors) {
    assert.equal(
      (await ask(context, text, start)).error,
      `Cannot read line 1 of d.jsonl: answer "${text}" must stand at character ${start} of column context, where ${end}`,
    );
  }
});
