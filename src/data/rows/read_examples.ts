import { CorruptFileError } from "../errors.ts";
import { notePlace } from "../example_place.ts";
import type {
  Grouped,
  MultiLabelExample,
  QuestionExample,
  RegressionExample,
  TaggedExample,
  TextExample,
} from "../examples.ts";
import type {
  ClassificationColumns,
  KeyColumn,
  MultiLabelColumns,
  QuestionColumns,
  RegressionColumns,
  TaggedColumns,
  TextColumns,
} from "./example_columns.ts";
import { toQuestion } from "./_question.ts";
import { RowReader } from "./_row_reader.ts";
import { readRows, type ReadRowsOptions } from "./read_rows.ts";
import type { RowSet } from "./row_set.ts";

/** The kinds of examples, by the kinds of tasks that learn from them, and the columns that make each. */
export interface ExampleKinds {
  "sequence-classification": { readonly example: TextExample; readonly columns: ClassificationColumns };
  "multi-label-classification": { readonly example: MultiLabelExample; readonly columns: MultiLabelColumns };
  "regression": { readonly example: RegressionExample; readonly columns: RegressionColumns };
  "token-classification": { readonly example: TaggedExample; readonly columns: TaggedColumns };
  "question-answering": { readonly example: QuestionExample; readonly columns: QuestionColumns };
}

/** The name of a kind of examples. */
export type ExampleKind = keyof ExampleKinds;

/** Options of {@linkcode readExamples}. */
export interface ReadExamplesOptions<Kind extends ExampleKind> extends Omit<ReadRowsOptions, "columns"> {
  /** Which columns make an example; each has a usual name by default. */
  readonly columns?: ExampleKinds[Kind]["columns"];
}

interface Converter<Kind extends ExampleKind> {
  /** The columns that are looked at. */
  columnsOf(columns: ExampleKinds[Kind]["columns"]): readonly (string | undefined)[];
  convert(row: RowReader, columns: ExampleKinds[Kind]["columns"]): ExampleKinds[Kind]["example"] | undefined;
}

const converters: { readonly [Kind in ExampleKind]: Converter<Kind> } = {
  "sequence-classification": {
    columnsOf: ({ labelColumn = "label", ...texts }) => [...textColumns(texts), labelColumn],
    convert: (row, { labelColumn = "label", classNames, ...columns }) => ({
      ...textsOf(row, columns),
      label: row.name(labelColumn, { classNames }),
    }),
  },
  "multi-label-classification": {
    columnsOf: ({ labelColumns = "labels", ...texts }) => [...textColumns(texts), ...[labelColumns].flat()],
    convert: (row, { labelColumns = "labels", classNames, separator, ...columns }) => ({
      ...textsOf(row, columns),
      labels: typeof labelColumns === "string"
        ? row.names(labelColumns, { classNames, separator })
        : labelColumns.filter((column) => applies(row, column)),
    }),
  },
  "regression": {
    columnsOf: ({ valueColumn = "label", ...texts }) => [...textColumns(texts), ...[valueColumn].flat()],
    convert: (row, { valueColumn = "label", ...columns }) => ({
      ...textsOf(row, columns),
      value: typeof valueColumn === "string"
        ? row.numbers(valueColumn)
        : valueColumn.map((column) => row.number(column)),
    }),
  },
  "token-classification": {
    columnsOf: (
      { tokensColumn = "tokens", tagsColumn = "tags", keyColumn },
    ) => [tokensColumn, tagsColumn, keyColumn],
    convert(row, { tokensColumn = "tokens", tagsColumn = "tags", separator, classNames }) {
      const tokens = row.names(tokensColumn, { separator });
      const tags = row.names(tagsColumn, { separator, classNames });
      if (tokens.length === tags.length) return { tokens, tags };
      throw row.error(
        `columns ${tokensColumn} and ${tagsColumn} must be of one length, got ${tokens.length} and ${tags.length}`,
      );
    },
  },
  "question-answering": {
    columnsOf: (columns) => [
      columns.idColumn ?? "id",
      columns.questionColumn ?? "question",
      columns.contextColumn ?? "context",
      columns.answersColumn ?? "answers",
      columns.keyColumn,
    ],
    convert: toQuestion,
  },
};

/** The kinds of examples there are. */
export const exampleKinds = Object.keys(converters) as readonly ExampleKind[];

/**
 * Reads examples from data files (Node only): `readRows` and {@linkcode toExamples} in one, of which only the columns
 * that are looked at are kept.
 *
 * @throws {CorruptFileError} naming file, row and column, what was expected and what is there; or if there are no rows.
 * @throws as {@linkcode readRows}.
 *
 * @example
 * ```ts no-run
 * const examples = await readExamples("train.parquet", "token-classification", {
 *   columns: { tagsColumn: "ner_tags" },
 * });
 * ```
 */
export async function readExamples<Kind extends ExampleKind>(
  paths: string | readonly string[],
  kind: Kind,
  options: ReadExamplesOptions<Kind> = {},
): Promise<ExampleKinds[Kind]["example"][]> {
  const { columns = {} as ExampleKinds[Kind]["columns"], ...rest } = options;
  const wanted = converterOf(kind).columnsOf(columns).filter((name) => name !== undefined);
  const set = await readRows(paths, { ...rest, columns: wanted });
  if (set.rows.length === 0) {
    throw new CorruptFileError(`Cannot read examples: ${[paths].flat().join(", ")} holds none`);
  }
  return toExamples(kind, set, columns);
}

/**
 * Examples of the rows of a file.
 *
 * @throws {CorruptFileError} naming the row and the column that is wrong.
 * @throws {RangeError} on an unknown kind.
 *
 * @example
 * ```ts no-run
 * const rows = await readRows("reviews.csv");
 * const examples = toExamples("regression", rows, { valueColumn: "stars" });
 * ```
 */
export function toExamples<Kind extends ExampleKind>(
  kind: Kind,
  set: RowSet,
  columns: ExampleKinds[Kind]["columns"] = {},
): ExampleKinds[Kind]["example"][] {
  const { convert } = converterOf(kind);
  const { keyColumn } = columns as KeyColumn;
  return set.rows.flatMap((_, i) => {
    const row = new RowReader(set, i);
    const example = convert(row, columns);
    if (example === undefined) return [];
    const grouped: Grouped = keyColumn === undefined ? {} : { key: row.name(keyColumn) };
    const whole = { ...example, ...grouped };
    notePlace(whole, () => set.place(i));
    return [whole];
  });
}

function converterOf<Kind extends ExampleKind>(kind: Kind): Converter<Kind> {
  if (Object.hasOwn(converters, kind)) return converters[kind];
  throw new RangeError(`Cannot read examples of kind "${kind}": expected one of ${exampleKinds.join(", ")}`);
}

function textColumns(
  { textColumn = "text", textPairColumn, keyColumn }: TextColumns,
): (string | undefined)[] {
  return [textColumn, textPairColumn, keyColumn];
}

function textsOf(row: RowReader, { textColumn = "text", textPairColumn }: TextColumns) {
  return {
    text: row.text(textColumn),
    ...(textPairColumn !== undefined && { textPair: row.text(textPairColumn) }),
  };
}

/** Whether a column says that its label applies. */
function applies(row: RowReader, column: string): boolean {
  const value = row.value(column);
  const text = typeof value === "string" ? value.trim().toLowerCase() : String(value);
  if (text === "1" || text === "true") return true;
  if (text === "0" || text === "false") return false;
  throw row.wrong(column, "1 or 0, true or false", value);
}
