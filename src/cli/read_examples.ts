import { readExamples as read } from "../data/mod.ts";
import type { TaskKind } from "../tasks/mod.ts";
import { exampleColumns } from "./config/columns_config.ts";
import type { ReadingOptions } from "./config/data_config.ts";
import type { Example } from "./load_data.ts";
import { ConfigError } from "./config/parse_config.ts";

export type { ReadingOptions };

/** Options of {@linkcode readExamples}. */
export interface ReadFileOptions extends Partial<ReadingOptions> {
  readonly signal?: AbortSignal | undefined;
  /** Told what one should know of a file. */
  readonly onNotice?: ((message: string) => void) | undefined;
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
  options: ReadFileOptions,
): Promise<Example[]> {
  const { columns = {}, quotes, format, delimiter, encoding, header, signal, onNotice } = options;
  try {
    return await read(path, kind, {
      columns: exampleColumns(kind, columns),
      ...(quotes !== undefined && { quotes }),
      ...(format && { format }),
      ...(delimiter !== undefined && { delimiter }),
      ...(encoding !== undefined && { encoding }),
      ...(header && { header }),
      ...(signal && { signal }),
      ...(onNotice && { onNotice }),
    });
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause)) throw cause;
    throw new ConfigError(`Cannot read examples: ${cause.message}`, { cause });
  }
}
