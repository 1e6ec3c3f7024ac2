import { FederaError } from "../engine/errors.ts";

/** A file's bytes contradict its format or its pinned checksum; the message names the file and both values. */
export class CorruptFileError extends FederaError {
  override name = "CorruptFileError";
}

/** A data file is larger, or takes more memory or time to read, than it may; the message names the limit. */
export class DataLimitError extends FederaError {
  override name = "DataLimitError";
}

/** A file or folder cannot be written; the message names it and the system's reason. */
export class WriteError extends FederaError {
  override name = "WriteError";
  /** The system's error code, such as `ENOSPC`; undefined if the system wasn't the cause. */
  readonly code: string | undefined;

  constructor(message: string, options: { readonly cause: unknown }) {
    super(message, options);
    const { cause } = options;
    this.code = cause instanceof Error && "code" in cause ? String(cause.code) : undefined;
  }
}
