import { CorruptFileError } from "../errors.ts";
import { excerptOfNames } from "../text/excerpt.ts";
import { notePlace } from "./example_place.ts";
import type {
  Grouped,
  MultiLabelExample,
  QuestionExample,
  RegressionExample,
  TaggedExample,
  TextExample,
} from "./examples.ts";
import type {
  ClassificationColumns,
  KeyColumn,
  MultiLabelColumns,
  QuestionColumns,
  RegressionColumns,
  TaggedColumns,
} from "./example_columns.ts";
import { indicatorNames } from "./_indicators.ts";
import { IMPOSSIBLE, toQuestion } from "./_question.ts";
import { MissingLabelError, RowReader } from "./_row_reader.ts";
import { type DataFile, namesOf, readRows, type ReadRowsOptions } from "../rows/read_rows.ts";
import type { RowSet } from "../rows/row_set.ts";
import { noteUnusedPair, textColumns, textsOf } from "./_texts.ts";

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
export interface ReadExamplesOptions<Kind extends ExampleKind>
  extends Omit<ReadRowsOptions, "columns">, ToExamplesOptions {
  /** Which columns make an example; each has a usual name by default. */
  readonly columns?: ExampleKinds[Kind]["columns"];
  /**
   * Called with the classes, labels or tags in their order, if the files define one: `datasets` numbers them in Parquet, and
   * labels with a column each have the order of the columns. Some may not occur.
   */
  readonly onClassNames?: (classNames: readonly string[]) => void;
}

/** Options of {@linkcode toExamples}. */
export interface ToExamplesOptions {
  /**
   * What to do about examples without a label, tag or number: `"refuse"` the file, or `"drop"` them and report how many. An
   * empty text, null and NaN count as missing, as do the words that pandas' `read_csv` reads as missing, such as NA and None,
   * in CSV and TSV. `"refuse"` by default.
   */
  readonly missingLabels?: "refuse" | "drop";
  /** Words that are labels even if they usually mean a missing one, such as a class named None. */
  readonly labels?: readonly string[];
  /** Called with the number of examples that were dropped, or have no text. */
  readonly onNotice?: (message: string) => void;
}

interface Converter<Kind extends ExampleKind> {
  /** Whether an example is of a text, or of a pair of them. */
  readonly hasTexts?: true;
  /** The columns that are read. */
  columnsOf(columns: ExampleKinds[Kind]["columns"]): readonly (string | undefined)[];
  /** The column of the labels, or a column for each. */
  labelColumns?(columns: ExampleKinds[Kind]["columns"]): string | readonly string[];
  /** Names of the labels, where lists have a 1 or 0 for each. */
  indicators?(
    set: RowSet,
    columns: ExampleKinds[Kind]["columns"],
    labels: readonly string[] | undefined,
  ): readonly string[] | undefined;
  convert(
    row: RowReader,
    columns: ExampleKinds[Kind]["columns"],
    indicators: readonly string[] | undefined,
  ): ExampleKinds[Kind]["example"] | undefined;
}

const converters: { readonly [Kind in ExampleKind]: Converter<Kind> } = {
  "sequence-classification": {
    hasTexts: true,
    columnsOf: ({ labelColumn = "label", ...texts }) => [...textColumns(texts), labelColumn],
    labelColumns: ({ labelColumn = "label" }) => labelColumn,
    convert: (row, { labelColumn = "label", classNames, ...columns }) => ({
      ...textsOf(row, columns),
      label: row.label(labelColumn, { classNames }),
    }),
  },
  "multi-label-classification": {
    hasTexts: true,
    columnsOf: ({ labelColumns = "labels", ...texts }) => [...textColumns(texts), ...[labelColumns].flat()],
    labelColumns: ({ labelColumns = "labels" }) => labelColumns,
    indicators: (set, { labelColumns = "labels", classNames }, labels) =>
      typeof labelColumns === "string" ? indicatorNames(set, labelColumns, classNames ?? labels) : undefined,
    convert(row, { labelColumns = "labels", classNames, separator, ...columns }, indicators) {
      const texts = textsOf(row, columns);
      if (typeof labelColumns !== "string") {
        return { ...texts, labels: labelColumns.filter((column) => row.applies(column)) };
      }
      return {
        ...texts,
        labels: indicators === undefined
          ? row.labels(labelColumns, { classNames, separator })
          : row.indicated(labelColumns, indicators),
      };
    },
  },
  "regression": {
    hasTexts: true,
    columnsOf: ({ valueColumn = ["label", "value"], ...texts }) => [
      ...textColumns(texts),
      ...[valueColumn].flat(),
    ],
    convert: (
      row,
      { valueColumn = row.has("value") && !row.has("label") ? "value" : "label", ...columns },
    ) => ({
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
    labelColumns: ({ tagsColumn = "tags" }) => tagsColumn,
    convert(row, { tokensColumn = "tokens", tagsColumn = "tags", separator, classNames }) {
      const tokens = row.names(tokensColumn, { separator });
      const tags = row.labels(tagsColumn, { separator, classNames });
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
      IMPOSSIBLE,
      columns.keyColumn,
    ],
    convert: toQuestion,
  },
};

/** All kinds of examples. */
export const exampleKinds = Object.keys(converters) as readonly ExampleKind[];

/**
 * Reads examples from data files: `readRows` and {@linkcode toExamples} in one, of which only the columns
 * that are looked at are kept.
 *
 * @throws {CorruptFileError} naming file, row and column, the expected and the actual value; or if there are no rows.
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
  files: DataFile | readonly DataFile[],
  kind: Kind,
  options: ReadExamplesOptions<Kind> = {},
): Promise<ExampleKinds[Kind]["example"][]> {
  const { columns = {} as ExampleKinds[Kind]["columns"], onClassNames, ...rest } = options;
  const { columnsOf, labelColumns, indicators } = converterOf(kind);
  const wanted = columnsOf(columns).filter((name) => name !== undefined);
  const set = await readRows(files, { ...rest, columns: wanted });
  if (set.rows.length === 0) {
    throw new CorruptFileError(`Cannot read examples: ${namesOf(files)} holds none`);
  }
  const labelled = labelColumns?.(columns);
  const classNames = typeof labelled === "string"
    ? (columns as ClassificationColumns).classNames ?? set.classNames.get(labelled) ??
      indicators?.(set, columns, rest.labels)
    : labelled;
  if (classNames !== undefined) onClassNames?.(classNames);
  return toExamples(kind, set, columns, rest);
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
 * const examples = toExamples("regression", rows, { valueColumn: "stars" }, { missingLabels: "drop" });
 * ```
 */
export function toExamples<Kind extends ExampleKind>(
  kind: Kind,
  set: RowSet,
  columns: ExampleKinds[Kind]["columns"] = {},
  { missingLabels = "refuse", labels, onNotice }: ToExamplesOptions = {},
): ExampleKinds[Kind]["example"][] {
  const { convert, indicators, hasTexts } = converterOf(kind);
  if (hasTexts) noteUnusedPair(set, columns, onNotice);
  const { keyColumn } = columns as KeyColumn;
  const classes = new Set(labels);
  const dropped: string[] = [];
  const remarks = new Map<string, string[]>();
  const ids = new Set<string>();
  const indicated = indicators?.(set, columns, labels);
  if (indicated !== undefined) {
    const advice = labels === undefined && indicated[0] === "0" ? "; set labels to name them" : "";
    onNotice?.(
      `Lists of labels have 1 or 0 for each of ${indicated.length}: ${excerptOfNames(indicated)}${advice}`,
    );
  }
  const examples = set.rows.flatMap((_, i) => {
    const row = new RowReader(set, i, classes, remarks);
    let example: ExampleKinds[Kind]["example"] | undefined;
    try {
      example = convert(row, columns, indicated);
    } catch (error) {
      if (!(error instanceof MissingLabelError) || missingLabels === "refuse") throw error;
      dropped.push(set.place(i));
    }
    if (example === undefined) return [];
    const grouped: Grouped = keyColumn === undefined ? {} : { key: row.name(keyColumn) };
    const whole = { ...example, ...grouped };
    if ("text" in whole && whole.text.trim() === "") row.remark("Empty texts");
    if ("context" in whole) {
      if (ids.has(whole.id)) row.remark("Questions with the id of another one");
      ids.add(whole.id);
    }
    notePlace(whole, () => set.place(i));
    return [whole];
  });
  const some = (places: readonly string[]) => `${places.length} of ${set.rows.length} examples`;
  if (dropped.length > 0 && examples.length === 0) {
    throw new CorruptFileError(
      `Cannot read examples: none of ${set.rows.length} has a label, for example ${dropped[0]}`,
    );
  }
  if (dropped.length > 0) onNotice?.(`Dropped ${some(dropped)} without a label, the first at ${dropped[0]}`);
  for (const [what, places] of remarks) onNotice?.(`${what}: ${some(places)}, the first at ${places[0]}`);
  return examples;
}

function converterOf<Kind extends ExampleKind>(kind: Kind): Converter<Kind> {
  if (Object.hasOwn(converters, kind)) return converters[kind];
  throw new RangeError(`Cannot read examples of kind "${kind}": expected one of ${exampleKinds.join(", ")}`);
}
