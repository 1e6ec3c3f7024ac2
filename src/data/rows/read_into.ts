import type { RowCollector } from "./collector.ts";
import type { ReadRowsOptions } from "./read_rows.ts";

/** Options of a reader: those of a call, with their defaults put in. */
export type ReadIntoOptions =
  & ReadRowsOptions
  & Required<Pick<ReadRowsOptions, "maxBytes" | "maxRows">>
  & {
    /** The bytes, where the path is only a name for them. */
    readonly content?: Blob | undefined;
  };

/** Reads one file's rows into a collector. */
export type ReadInto = (path: string, rows: RowCollector, options: ReadIntoOptions) => Promise<void>;
