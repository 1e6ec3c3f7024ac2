/** One row of a data file: values by the names of their columns. */
export type Row = Readonly<Record<string, unknown>>;

/** Rows of a file, or of several, and what is known of them. */
export interface RowSet {
  readonly rows: readonly Row[];
  /** Names of the columns that there are, also of those that weren't asked for. */
  readonly columns: ReadonlySet<string>;
  /** Names of the classes that a column's whole numbers stand for, where the file tells them. */
  readonly classNames: ReadonlyMap<string, readonly string[]>;
  /** Where a row stands, for messages: `line 3 of train.jsonl`. */
  place(index: number): string;
  /** Words that mean a missing value in a row, as pandas reads tables of text; none by default. */
  missingWords?(index: number): ReadonlySet<string>;
  /** What to do where a row's file has no column of a name, for messages. */
  columnAdvice?(index: number): string | undefined;
}
