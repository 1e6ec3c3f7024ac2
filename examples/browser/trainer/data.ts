import {
  type ClassCount,
  classification,
  countClasses,
  type DataFile,
  placeOf,
  randomKey,
  RandomStream,
  readRows,
  type RowSet,
  similarLabels,
  type Split,
  stratifiedSplit,
  type Task,
  type TaskSet,
  type TextExample,
  toExamples,
  type Tokenizer,
} from "federa";
import type { Columns, DataInfo, TableInfo } from "./calls.ts";

/** Rows and characters of the preview. */
const PREVIEW = { rows: 5, characters: 200 };
/** The share of every class that is held out. */
const HELD_OUT = 0.2;
/** More classes than this are hardly classes. */
const MOST_CLASSES = 1000;

/** A table that was read, and what the page should know of it. */
export async function readTable(
  file: DataFile,
): Promise<{ readonly rows: RowSet; readonly info: TableInfo }> {
  const notices: string[] = [];
  const rows = await readRows(file, { onNotice: (notice) => notices.push(notice) });
  if (rows.rows.length === 0) {
    throw new RangeError(
      `Cannot use ${
        typeof file === "string" ? file : file.name
      }: it has no rows below the names of its columns`,
    );
  }
  const columns = [...rows.columns];
  const preview = rows.rows.slice(0, PREVIEW.rows).map((row) => columns.map((column) => shown(row[column])));
  return { rows, info: { columns, numRows: rows.rows.length, preview, notices } };
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return "";
  const text = typeof value === "string"
    ? value
    : JSON.stringify(value, (_, item) => typeof item === "bigint" ? String(item) : item);
  return text.length > PREVIEW.characters ? `${text.slice(0, PREVIEW.characters)}…` : text;
}

/** Examples of a table, split into what is trained on and what is held out. */
export interface Data extends Pick<Split<TextExample>, "train" | "test"> {
  readonly task: Task<TextExample>;
  readonly info: DataInfo;
}

/** Options of {@linkcode chooseColumns}. */
export interface ChooseColumnsOptions {
  /** Of what is held out. */
  readonly seed: number;
  /** The task of a federation, whose classes count; by default those that the column has. */
  readonly prescribed?: Task<TextExample> | undefined;
}

/**
 * Takes texts and classes out of a table.
 *
 * @throws {CorruptFileError} naming the line that lacks a text or a class.
 * @throws {RangeError} when the column can't hold the classes: there is only one, there are too many, or others than the federation has.
 */
export function chooseColumns(
  rows: RowSet,
  columns: Columns,
  { seed, prescribed }: ChooseColumnsOptions,
): Data {
  checkColumns(rows, columns);
  const notices: string[] = [];
  const examples = toExamples("sequence-classification", rows, {
    textColumn: columns.text,
    labelColumn: columns.label,
  }, {
    missingLabels: "drop",
    ...(prescribed !== undefined && { labels: prescribed.labels }),
    onNotice: (notice) => notices.push(notice),
  });
  const classes = countClasses(examples, prescribed?.labels);
  if (prescribed === undefined) notices.push(...checkClasses(classes, examples.length, columns.label));
  else checkPrescribed(examples, prescribed.labels);
  const stream = new RandomStream(randomKey(seed, "held out"));
  const { train, test } = stratifiedSplit(examples, () => stream.uint32(), { validation: 0, test: HELD_OUT });
  if (test.length === 0 && prescribed === undefined) {
    throw new RangeError(
      `Cannot hold out a fifth of each class for scoring: expected at least three rows of some class, got ${examples.length} rows of ${classes.length} classes`,
    );
  }
  const most = countClasses(train).reduce((best, each) => each.count > best.count ? each : best);
  const majority = test.filter((example) => example.label === most.label).length / test.length;
  return {
    train,
    test,
    task: prescribed ?? classification({ labels: classes.map((each) => each.label) }),
    info: { classes, numTrain: train.length, numTest: test.length, majority, notices },
  };
}

function checkColumns(rows: RowSet, { text, label }: Columns): void {
  for (const column of [text, label]) {
    if (rows.columns.has(column)) continue;
    throw new RangeError(
      `Cannot find a column ${JSON.stringify(column)}: there are ${[...rows.columns].join(", ")}`,
    );
  }
  if (text !== label) return;
  throw new RangeError(
    `Cannot learn from column ${
      JSON.stringify(text)
    } alone: choose one for the text and another for the class`,
  );
}

/** Refuses what can't be classes, and says which may be spellings of one. */
function checkClasses(classes: readonly ClassCount[], numRows: number, column: string): string[] {
  if (classes.length === 1) {
    throw new RangeError(
      `Cannot train on one class: every row of column ${column} says ${
        JSON.stringify(classes[0]!.label)
      }; choose another column, or a file with at least two classes`,
    );
  }
  if (classes.length > MOST_CLASSES || classes.length === numRows) {
    throw new RangeError(
      `Cannot use column ${column} as the class: it has ${classes.length} different values in ${numRows} rows; choose the column that says what kind a text is`,
    );
  }
  const quoted = ({ label, count }: ClassCount) => `${JSON.stringify(label)} (${count})`;
  return similarLabels(classes).map(({ rarer, commoner }) =>
    `Classes ${quoted(rarer)} and ${quoted(commoner)} may be two spellings of one`
  );
}

/** Refuses classes that a federation doesn't have. */
function checkPrescribed(examples: readonly TextExample[], labels: readonly string[]): void {
  const known = new Set(labels);
  const at = examples.findIndex(({ label }) => !known.has(label));
  if (at < 0) return;
  throw new RangeError(
    `Cannot use class ${JSON.stringify(examples[at]!.label)} at ${
      placeOf(examples[at]!, at)
    }: the federation is about ${labels.join(", ")}`,
  );
}

/** Tokens and targets of what is trained on and of what is held out. */
export function prepareSets(
  { task, train, test }: Data,
  tokenizer: Tokenizer,
  { maxLength }: { readonly maxLength: number },
): { readonly train: TaskSet; readonly test: TaskSet } {
  const prepare = (examples: readonly TextExample[]) => task.prepare(examples, tokenizer, { maxLength });
  return { train: prepare(train), test: prepare(test) };
}
