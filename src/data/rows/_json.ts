import { CorruptFileError } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import type { RowCollector } from "./_collector.ts";
import type { ReadInto } from "./_read_into.ts";
import { readText } from "./_read_text.ts";
import type { Row } from "./row_set.ts";

/**
 * A JSON document: a list of objects, or an object with such a list as `data`. Articles of the official SQuAD files,
 * `paragraphs` of which each has a `context` and questions `qas`, become one row for each question.
 */
export const readJsonInto: ReadInto = async (path, rows, options) => {
  rows.beginFile(path, { unit: "row" });
  let text = "";
  for await (const piece of readText(path, options)) text += piece;
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (cause) {
    const hint = text.trimStart().startsWith("{")
      ? "; a file of one object a line is of the format jsonl"
      : "";
    throw new CorruptFileError(`Cannot read ${path}: it is not JSON${hint}`, { cause });
  }
  const list = isObject(root) && "data" in root ? root["data"] : root;
  if (!Array.isArray(list)) {
    throw new CorruptFileError(`Cannot read ${path}: expected a list of objects, got ${excerpt(root)}`);
  }
  const expected = (where: string, what: string, value: unknown) =>
    new CorruptFileError(`Cannot read ${where} of ${path}: expected ${what}, got ${excerpt(value)}`);
  list.forEach((item: unknown, i) => {
    const place = `${i + 1}`;
    if (!isObject(item)) throw expected(`row ${place}`, "an object", item);
    if (Array.isArray(item["paragraphs"])) addArticle(item, `article ${place}`, { rows, expected });
    else rows.add(item, i + 1);
  });
};

interface ArticleContext {
  readonly rows: RowCollector;
  readonly expected: (where: string, what: string, value: unknown) => Error;
}

function addArticle(article: Row, place: string, { rows, expected }: ArticleContext): void {
  (article["paragraphs"] as unknown[]).forEach((paragraph, i) => {
    const where = `paragraph ${i + 1} of ${place}`;
    if (!isObject(paragraph)) throw expected(where, "an object", paragraph);
    const { context, qas } = paragraph;
    if (!Array.isArray(qas)) throw expected(where, "a list of questions as qas", qas);
    qas.forEach((question: unknown, j) => {
      if (!isObject(question)) throw expected(`question ${j + 1} of ${where}`, "an object", question);
      rows.add({ title: article["title"], context, ...question }, rows.rows.length + 1);
    });
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
