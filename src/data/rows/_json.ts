import { CorruptFileError } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import { isObject } from "../json_object.ts";
import type { ReadInto } from "./_read_into.ts";
import { parseJsonAt } from "./_parse_json.ts";
import { readWholeText } from "./_read_text.ts";
import type { Row } from "./row_set.ts";

/**
 * A JSON document: a list of objects, or an object with such a list as `data`. Articles of the official SQuAD files,
 * `paragraphs` of which each has a `context` and questions `qas`, become one row for each question.
 */
export const readJsonInto: ReadInto = async (path, rows, options) => {
  const text = await readWholeText(path, options);
  const root = parseJsonAt(text, {
    path,
    line: 1,
    otherwise: () =>
      `it is not JSON${
        text.trimStart().startsWith("{") ? "; a file of one object a line is of the format jsonl" : ""
      }`,
  });
  const list = isObject(root) && "data" in root ? root["data"] : root;
  if (!Array.isArray(list)) {
    throw new CorruptFileError(`Cannot read ${path}: expected a list of objects, got ${excerpt(root)}`);
  }
  const hasArticles = list.some((item) => isObject(item) && Array.isArray(item["paragraphs"]));
  rows.beginFile(path, { unit: hasArticles ? "question" : "row" });
  let number = 0;
  const expected = (where: string, what: string, value: unknown) =>
    new CorruptFileError(`Cannot read ${where} of ${path}: expected ${what}, got ${excerpt(value)}`);
  list.forEach((item: unknown, i) => {
    const place = `${i + 1}`;
    if (!isObject(item)) throw expected(`row ${place}`, "an object", item);
    if (Array.isArray(item["paragraphs"])) {
      addArticle(item, `article ${place}`, { add: (row) => rows.add(row, ++number), expected });
    } else rows.add(item, ++number);
  });
};

interface ArticleContext {
  readonly add: (row: Row) => void;
  readonly expected: (where: string, what: string, value: unknown) => Error;
}

function addArticle(article: Row, place: string, { add, expected }: ArticleContext): void {
  (article["paragraphs"] as unknown[]).forEach((paragraph, i) => {
    const where = `paragraph ${i + 1} of ${place}`;
    if (!isObject(paragraph)) throw expected(where, "an object", paragraph);
    const { context, qas } = paragraph;
    if (!Array.isArray(qas)) throw expected(where, "a list of questions as qas", qas);
    qas.forEach((question: unknown, j) => {
      if (!isObject(question)) throw expected(`question ${j + 1} of ${where}`, "an object", question);
      add({ title: article["title"], context, ...question });
    });
  });
}
