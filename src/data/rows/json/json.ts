import { CorruptFileError } from "../../errors.ts";
import { cut, excerpt } from "../../text/excerpt.ts";
import { isObject } from "./is_object.ts";
import { rowsOfDocument } from "./_json_shape.ts";
import { jsonSlices } from "./_json_values.ts";
import type { ReadInto } from "../read_into.ts";
import { parseJsonAt } from "./_parse_json.ts";
import { readWholeText } from "../text/read_text.ts";
import type { Row } from "../row_set.ts";

/**
 * A JSON document whose shape {@linkcode rowsOfDocument} knows, or several objects one after another, such as JSON lines.
 * Articles and paragraphs of the official SQuAD files, which have questions as `qas`, become one row for each question.
 */
export const readJsonInto: ReadInto = async (path, rows, options) => {
  const { columns, onNotice } = options;
  const text = await readWholeText(path, options);
  const documents: { readonly value: unknown; readonly line: number }[] = [];
  for (const slice of jsonSlices(text)) {
    const otherwise = () => documents.length === 0 ? "it is not JSON" : `not JSON, got ${cut(slice.text)}`;
    const value = parseJsonAt(slice.text, { path, line: slice.line, otherwise });
    documents.push({ value, line: slice.line });
  }
  if (documents.length === 0) throw new CorruptFileError(`Cannot read ${path}: it is empty, not JSON`);
  const expected = (where: string, what: string, value: unknown) =>
    new CorruptFileError(`Cannot read ${where} of ${path}: expected ${what}, got ${excerpt(value)}`);
  if (documents.length > 1) {
    rows.beginFile(path, { unit: "line" });
    for (const { value, line } of documents) {
      if (!isObject(value)) throw expected(`line ${line}`, "an object", value);
      rows.add(value, line);
    }
    return;
  }
  const list = located(path, () =>
    rowsOfDocument(documents[0]!.value, {
      columns,
      onNotice: (message) => onNotice?.(`${path}: ${message}`),
    }));
  const hasQuestions = list.some((item) => isObject(item) && isOfSquad(item));
  rows.beginFile(path, { unit: hasQuestions ? "question" : "row" });
  let number = 0;
  const context = { add: (row: Row) => rows.add(row, ++number), expected };
  list.forEach((item: unknown, i) => {
    const place = `${i + 1}`;
    if (!isObject(item)) throw expected(`row ${place}`, "an object", item);
    if (Array.isArray(item["paragraphs"])) addArticle(item, `article ${place}`, context);
    else if (Array.isArray(item["qas"])) addParagraph(item, `paragraph ${place}`, context);
    else context.add(item);
  });
};

/** Puts the file's name into what is wrong with a document. */
function located<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new CorruptFileError(`Cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}

function isOfSquad({ paragraphs, qas }: Row): boolean {
  return Array.isArray(paragraphs) || Array.isArray(qas);
}

interface ArticleContext {
  readonly add: (row: Row) => void;
  readonly expected: (where: string, what: string, value: unknown) => Error;
}

function addArticle({ title, paragraphs }: Row, place: string, context: ArticleContext): void {
  (paragraphs as unknown[]).forEach((paragraph, i) => {
    const where = `paragraph ${i + 1} of ${place}`;
    if (!isObject(paragraph)) throw context.expected(where, "an object", paragraph);
    addParagraph({ title, ...paragraph }, where, context);
  });
}

/** Adds a row for each question: what the paragraph has, but for the questions, and what the question has. */
function addParagraph({ qas, ...rest }: Row, where: string, { add, expected }: ArticleContext): void {
  if (!Array.isArray(qas)) throw expected(where, "a list of questions as qas", qas);
  qas.forEach((question: unknown, j) => {
    if (!isObject(question)) throw expected(`question ${j + 1} of ${where}`, "an object", question);
    add({ ...rest, ...question });
  });
}
