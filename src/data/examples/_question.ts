import type { Answer, QuestionExample } from "./examples.ts";
import { isLiteral, parseLiteral } from "./_literal.ts";
import type { QuestionColumns } from "./example_columns.ts";
import type { RowReader } from "./_row_reader.ts";

/** The column in which SQuAD 2 marks questions that their text doesn't answer. */
export const IMPOSSIBLE = "is_impossible";

/** The question of a row; undefined if all of its answers are dropped. */
export function toQuestion(row: RowReader, columns: QuestionColumns): QuestionExample | undefined {
  const { contextColumn = "context", answersColumn = "answers", misplacedAnswers = "refuse", onDrop } =
    columns;
  const { context, ...asked } = toAsked(row, columns);
  const stated = readAnswers(row, answersColumn);
  const answers: Answer[] = [];
  for (const { text, codePoint } of stated) {
    const start = unitsBefore(context, codePoint);
    const found = context.slice(start, start + text.length);
    if (codePoint >= 0 && isSame(found, text)) {
      answers.push({ text, start });
      continue;
    }
    const error = row.error(
      `answer ${JSON.stringify(text)} must stand at character ${codePoint} of column ${contextColumn}, ` +
        `where there is ${JSON.stringify(found)}${placeAdvice(context, text)}`,
    );
    if (misplacedAnswers === "refuse") throw error;
    onDrop?.(error.message);
  }
  if (stated.length > 0 && answers.length === 0) return undefined;
  return { ...asked, context, answers };
}

/** The question and context of a row, without its answers. */
export function toAsked(
  row: RowReader,
  { idColumn = "id", questionColumn = "question", contextColumn = "context" }: QuestionColumns,
): Omit<QuestionExample, "answers" | "key"> {
  return {
    id: row.value(idColumn) === undefined ? String(row.index) : row.name(idColumn),
    question: row.text(questionColumn),
    context: row.text(contextColumn),
  };
}

interface StatedAnswer {
  readonly text: string;
  /** Where it begins, in code points, as Python counts. */
  readonly codePoint: number;
}

/** The answers of a row. Files write "no answer" in many ways: no texts, empty ones, null, or the flag of SQuAD 2. */
function readAnswers(row: RowReader, column: string): StatedAnswer[] {
  const impossible = String(row.value(IMPOSSIBLE)).toLowerCase();
  const isImpossible = /^(true|1)$/.test(impossible);
  const answers = isImpossible && row.value(column) === undefined ? [] : statedAnswers(row, column);
  if (isImpossible) {
    if (answers.length > 0) {
      row.remark(`Questions taken as unanswerable, since ${IMPOSSIBLE} says so, though they have answers`);
    }
    return [];
  }
  if (answers.length === 0 && /^(false|0)$/.test(impossible)) {
    row.remark(`Questions taken as unanswerable, since they have no answers, though ${IMPOSSIBLE} is false`);
  }
  return answers;
}

function statedAnswers(row: RowReader, column: string): StatedAnswer[] {
  const stated = row.value(column);
  if (typeof stated === "string" && row.isMissing(column, stated)) return [];
  const wrong = () =>
    row.wrong(column, "answers, { text: […], answer_start: […] } or a list of { text, answer_start }", value);
  const value = parsed(stated);
  if (value === null) return [];
  if (typeof value !== "object") throw wrong();
  const pairs = Array.isArray(value) ? value.map(pairOf) : pairsOf(value as Record<string, unknown>);
  if (pairs === undefined) throw wrong();
  return pairs.filter(([text]) => !isNothing(text)).map(([text, start]) => {
    if (typeof text !== "string" || !Number.isSafeInteger(start)) throw wrong();
    return { text, codePoint: start as number };
  });
}

/** Whether an answer's text means that there is no answer. */
function isNothing(text: unknown): boolean {
  return text === null || typeof text === "string" && text.trim() === "";
}

function pairOf(answer: unknown): [unknown, unknown] {
  if (typeof answer !== "object" || answer === null) return [undefined, undefined];
  const { text, answer_start: start } = answer as Record<string, unknown>;
  return [text, start];
}

function pairsOf(answers: Record<string, unknown>): [unknown, unknown][] | undefined {
  const { text, answer_start: start } = answers;
  if (typeof text === "string") return [pairOf(answers)];
  if (!Array.isArray(text)) return undefined;
  if (text.every(isNothing)) return [];
  if (!Array.isArray(start) || text.length !== start.length) return undefined;
  return text.map((item, i) => [item, start[i]]);
}

/** Text of JSON or Python becomes the value that it is of, as tables of text have it. */
function parsed(value: unknown): unknown {
  if (typeof value !== "string" || !isLiteral(value)) return value;
  try {
    return parseLiteral(value);
  } catch (error) {
    if (error instanceof SyntaxError) return value;
    throw error;
  }
}

/** Whether texts are equal but for which space stands where; files have a blank for what is a no-break space in the context. */
function isSame(found: string, text: string): boolean {
  return found === text || found.replace(/\s/g, " ") === text.replace(/\s/g, " ");
}

/** Where a text stands, in code points, if it stands in one place alone. */
function placeAdvice(context: string, text: string): string {
  const start = context.indexOf(text);
  if (start < 0) return "; the context doesn't hold it";
  if (context.indexOf(text, start + 1) >= 0) return "";
  return `; it stands at ${[...context.slice(0, start)].length}, counted in code points as Python does`;
}

/** Units of UTF-16 before a code point; those of the whole text where it ends earlier. */
function unitsBefore(text: string, codePoint: number): number {
  let unit = 0;
  for (let i = 0; i < codePoint && unit < text.length; i++) unit += text.codePointAt(unit)! > 0xffff ? 2 : 1;
  return unit;
}
