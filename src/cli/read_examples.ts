import { type DataFormat, readExamples as read } from "../data/mod.ts";
import type { TaskKind } from "../tasks/mod.ts";
import { type ColumnsConfig, exampleColumns } from "./config/columns_config.ts";
import type { Example } from "./load_data.ts";
import { ConfigError } from "./config/parse_config.ts";

/** Options of {@linkcode readExamples}. */
export interface ReadFileOptions {
  readonly columns: ColumnsConfig;
  readonly format?: DataFormat | undefined;
  readonly quotes?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads the examples of a task from a file.
 *
 * @throws {ConfigError} when the file cannot be opened.
 * @throws {CorruptFileError} when it isn't what it should be.
 */
export async function readExamples(
  kind: TaskKind,
  path: string,
  { columns, format, quotes = true, signal }: ReadFileOptions,
): Promise<Example[]> {
  try {
    return await read(path, kind, {
      columns: exampleColumns(kind, columns),
      quotes,
      ...(format && { format }),
      ...(signal && { signal }),
    });
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause)) throw cause;
    throw new ConfigError(`Cannot read examples: ${cause.message}`, { cause });
  }
}
