import {
  classification,
  countClasses,
  type DataFile,
  randomKey,
  RandomStream,
  readRows,
  type RowSet,
  similarLabels,
  type Split,
  stratifiedSplit,
  type Task,
  type TextExample,
  toExamples,
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

/**
 * Takes texts and classes out of a table.
 *
 * @throws {CorruptFileError} naming the line that lacks a text or a class.
 * @throws {RangeError} when there is only one class, or so many that the column can't hold classes.
 */
export function chooseColumns(rows: RowSet, { text, label }: Columns, seed: number): Data {
  for (const column of [text, label]) {
    if (!rows.columns.has(column)) {
      throw new RangeError(
        `Cannot find a column ${JSON.stringify(column)}: there are ${[...rows.columns].join(", ")}`,
      );
    }
  }
  if (text === label) {
    throw new RangeError(
      `Cannot learn from column ${
        JSON.stringify(text)
      } alone: choose one for the text and another for the class`,
    );
  }
  const notices: string[] = [];
  const examples = toExamples("sequence-classification", rows, { textColumn: text, labelColumn: label }, {
    missingLabels: "drop",
    onNotice: (notice) => notices.push(notice),
  });
  const classes = countClasses(examples);
  const [only] = classes;
  if (classes.length === 1) {
    throw new RangeError(
      `Cannot train on one class: every row of column ${label} says ${
        JSON.stringify(only!.label)
      }; choose another column, or a file with at least two classes`,
    );
  }
  if (classes.length > MOST_CLASSES || classes.length === examples.length) {
    throw new RangeError(
      `Cannot use column ${label} as the class: it has ${classes.length} different values in ${examples.length} rows; choose the column that says what kind a text is`,
    );
  }
  for (const { rarer, commoner } of similarLabels(classes)) {
    notices.push(
      `Classes ${JSON.stringify(rarer.label)} (${rarer.count}) and ${
        JSON.stringify(commoner.label)
      } (${commoner.count}) may be two spellings of one`,
    );
  }
  const stream = new RandomStream(randomKey(seed, "held out"));
  const { train, test } = stratifiedSplit(examples, () => stream.uint32(), {
    validation: 0,
    test: HELD_OUT,
  });
  if (test.length === 0) {
    throw new RangeError(
      `Cannot hold out a fifth of each class for scoring: expected at least three rows of some class, got ${examples.length} rows of ${classes.length} classes`,
    );
  }
  const most = countClasses(train).reduce((best, each) => each.count > best.count ? each : best);
  const majority = test.filter((example) => example.label === most.label).length / test.length;
  return {
    train,
    test,
    task: classification({ labels: classes.map((each) => each.label) }),
    info: { classes, numTrain: train.length, numTest: test.length, majority, notices },
  };
}
