import type { ParquetInfo } from "./read_parquet.ts";

/** What a reader process is to read. */
export interface ReadRequest {
  readonly path: string;
  readonly columns: readonly string[] | undefined;
  readonly maxBytes: number;
  readonly maxRows: number;
}

/** What a reader process answers, in this order: the info, then for each row group its columns with their values. */
export type ReadMessage =
  | { readonly kind: "info"; readonly info: ParquetInfo }
  | { readonly kind: "group"; readonly names: readonly string[]; readonly numRows: number }
  /** Sent before a column is read, so that it can be named if the process dies. */
  | { readonly kind: "column"; readonly name: string }
  | { readonly kind: "values"; readonly values: readonly unknown[] };

/** How a reader process ends its answer. */
export type ReadEnd =
  /** `fresh` unless the process holds so much memory that it should not be used again. */
  | { readonly kind: "done"; readonly fresh: boolean }
  | {
    readonly kind: "failed";
    readonly message: string;
    /** Whether a limit was exceeded. */
    readonly isLimit: boolean;
    /** The code of an error of the file system. */
    readonly code: string | undefined;
  };
