import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type ExampleKind, placeOf, readExamples, readPrompts } from "../../../src/data/mod.ts";

const folder = await mkdtemp(join(tmpdir(), "federa-prompts-"));
after(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, content: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

test("readPrompts() reads texts, words and questions whether or not there are labels", async () => {
  const csv = await file("a.csv", 'sentence,other,label\none,eins,x\n"two, too",zwei,\n');
  for (
    const kind of ["sequence-classification", "multi-label-classification", "regression"] as ExampleKind[]
  ) {
    const columns = { textColumn: "sentence", textPairColumn: "other" };
    assert.deepEqual(await readPrompts(csv, kind, { columns }), [
      { text: "one", textPair: "eins" },
      { text: "two, too", textPair: "zwei" },
    ]);
  }
  const words = await file("b.jsonl", '{"tokens":["a","b"],"tags":null}\n{"tokens":["c"]}\n');
  assert.deepEqual(await readPrompts(words, "token-classification"), [{ tokens: ["a", "b"] }, {
    tokens: ["c"],
  }]);
  const questions = await file(
    "c.jsonl",
    '{"id":"x","question":"q","context":"c","answers":{"text":["no"],"answer_start":[9]}}\n{"question":"r","context":"d"}\n',
  );
  const asked = await readPrompts(questions, "question-answering");
  assert.deepEqual(asked, [
    { id: "x", question: "q", context: "c" },
    { id: "1", question: "r", context: "d" },
  ]);
  assert.equal(placeOf(asked[1]!, 1), `line 2 of ${questions}`);
});

test("readPrompts() names what is wrong", async () => {
  const odd = await file("d.jsonl", '{"text":"a"}\n{"text":3}\n');
  await assert.rejects(readPrompts(odd, "regression"), {
    name: "CorruptFileError",
    message: `Cannot read line 2 of ${odd}: column text must be text, got 3`,
  });
  const empty = await file("e.csv", "text\n");
  await assert.rejects(readPrompts(empty, "regression"), {
    name: "CorruptFileError",
    message: `Cannot read texts: ${empty} holds none`,
  });
});

test("readPrompts() and readExamples() tell of a column textPair that nobody makes the second text", async () => {
  const csv = await file("pairs.csv", "text,textPair,label\none,eins,x\n");
  const told: string[] = [];
  const options = { onNotice: (message: string) => told.push(message) };
  await readPrompts(csv, "sequence-classification", options);
  await readExamples(csv, "sequence-classification", options);
  const notice =
    'Column textPair isn\'t used: "textPair": "textPair" in columns, or --column textPair=textPair, makes it the second text';
  assert.deepEqual(told, [notice, notice]);
  const columns = { textPairColumn: "textPair" };
  assert.deepEqual(await readPrompts(csv, "sequence-classification", { ...options, columns }), [
    { text: "one", textPair: "eins" },
  ]);
  assert.equal(told.length, 2);
});
