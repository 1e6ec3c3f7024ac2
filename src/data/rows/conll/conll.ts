import { CorruptFileError } from "../../errors.ts";
import { cut } from "../../text/excerpt.ts";
import { type ConllFile, isExtraNumber, layoutOf, type Sentence } from "./_conll_layout.ts";
import type { ReadInto, ReadIntoOptions } from "../read_into.ts";
import { readLines } from "../text/read_text.ts";

/**
 * Tagged words as the CoNLL shared tasks had them: a word a line, its tag in another column, and a blank line after each
 * sentence. Tabs separate the columns if the first line of a word has one, and then words may hold any space; otherwise
 * blanks and tabs do, never other spaces of Unicode. Marks between documents, `-DOCSTART-`, and comments before a sentence are
 * skipped; so is a first column that numbers the words, with its ranges and empty nodes. A row has a list for each column that
 * the header names, by default the words as `tokens` and their tags as `tags`.
 */
export const readConllInto: ReadInto = async (path, rows, options) => {
  rows.beginFile(path, { unit: "line" });
  const file = await readSentences(path, options);
  const { isNumbered, columns, isWord } = layoutOf(file, options);
  for (const { first, lines, hashes } of file.sentences) {
    const all = lines.map(file.split);
    let start = 0;
    while (start < hashes && (isNumbered || !isWord(all[start]!))) start++;
    // A line in a sentence that begins with # is a word, and must have a word's columns.
    all.slice(start, hashes).forEach((fields, i) => checkWidth(file, fields, first + start + i));
    const words = all.slice(start).filter(([number]) => !isNumbered || !isExtraNumber(number!));
    if (words.length === 0) continue;
    if (options.header === undefined) {
      const empty = words.findIndex((word) => word[columns[0]![0]] === "");
      if (empty >= 0) throw emptyWord(path, first + start + empty);
    }
    const row = Object.fromEntries(columns.map(([place, name]) => [name, words.map((word) => word[place]!)]));
    rows.add(row, first + start);
  }
};

/** The sentences of a file, checked to have the same number of columns in every line. */
async function readSentences(path: string, options: ReadIntoOptions): Promise<ConllFile> {
  const sentences: Sentence[] = [];
  let sentence: { first: number; lines: string[]; hashes: number } | undefined;
  let file: ConllFile | undefined;
  for await (const { text, line } of readLines(path, options)) {
    if (/^[ \t]*$/.test(text) || /^[ \t]*-DOCSTART-([ \t]|$)/.test(text)) {
      sentence = undefined;
      continue;
    }
    if (sentence === undefined) sentences.push(sentence = { first: line, lines: [], hashes: 0 });
    const { lines, hashes } = sentence;
    lines.push(text);
    if (text.startsWith("#") && lines.length === hashes + 1) {
      sentence.hashes++;
      continue;
    }
    if (file === undefined) {
      const split = text.includes("\t") ? splitAtTabs : splitAtBlanks;
      file = { path, sentences, split, width: split(text).length, widthLine: line };
      if (options.header !== undefined && options.header.length !== file.width) {
        throw new CorruptFileError(
          `Cannot read line ${line} of ${path}: expected ${options.header.length} columns, as header names, got ${file.width}`,
        );
      }
    }
    checkWidth(file, file.split(text), line);
  }
  return file ?? { path, sentences: [], split: splitAtTabs, width: 0, widthLine: 0 };
}

function checkWidth({ path, width, widthLine }: ConllFile, fields: readonly string[], line: number): void {
  const refuse = (expected: string) =>
    new CorruptFileError(
      `Cannot read line ${line} of ${path}: expected ${expected}, got ${cut(fields.join(" "))}`,
    );
  if (fields.length < 2) throw refuse("a word and its tag");
  if (fields.length !== width) {
    throw refuse(`${width} columns, as line ${widthLine} has, not ${fields.length}`);
  }
}

function emptyWord(path: string, line: number): CorruptFileError {
  return new CorruptFileError(
    `Cannot read line ${line} of ${path}: expected a word and its tag, got no word`,
  );
}

/** Blanks around what isn't a word are no part of it. */
function splitAtTabs(line: string): string[] {
  return line.split("\t").map((field, i) => i === 0 ? field : withoutBlanks(field));
}

/** A field without blanks at its ends, unless it holds nothing else. */
function withoutBlanks(field: string): string {
  let [start, end] = [0, field.length];
  while (field[start] === " ") start++;
  while (end > start && field[end - 1] === " ") end--;
  return start === end ? field : field.slice(start, end);
}

function splitAtBlanks(line: string): string[] {
  return line.replace(/^[ \t]+|[ \t]+$/g, "").split(/[ \t]+/);
}
