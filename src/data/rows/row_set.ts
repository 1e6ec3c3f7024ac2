/** One row of a data file: values by the names of their columns. */
export type Row = Readonly<Record<string, unknown>>;

/** Rows of one or several files, and what the files say about them. */
export interface RowSet {
  readonly rows: readonly Row[];
  /** Names of all columns, including those that weren't asked for. */
  readonly columns: ReadonlySet<string>;
  /** Names of the classes that a column's whole numbers stand for, if the file defines them. */
  readonly classNames: ReadonlyMap<string, readonly string[]>;
  /** Where a row stands, for messages: `line 3 of train.jsonl`. */
  place(index: number): string;
  /** Words that mean a missing value in a row, as pandas reads tables of text; none by default. */
  missingWords?(index: number): ReadonlySet<string>;
  /** What to do where a row's file has no column of a name, for messages. */
  columnAdvice?(index: number): string | undefined;
}
