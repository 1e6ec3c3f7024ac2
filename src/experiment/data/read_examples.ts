import { findDataFiles, readExamples as read } from "../../data/mod.ts";
import type { TaskKind } from "../../tasks/mod.ts";
import { exampleColumns } from "../config/columns_config.ts";
import type { ReadingOptions } from "../config/data_config.ts";
import type { Example } from "./load_data.ts";
import { ConfigError } from "../config/parse_config.ts";

export type { ReadingOptions };

/** Options of {@linkcode readExamples}. */
export interface ReadFileOptions extends Partial<ReadingOptions> {
  readonly signal?: AbortSignal | undefined;
  /** Labels of the model or the configuration: words that aren't missing values, such as a class named None. */
  readonly labels?: readonly string[] | undefined;
  /** Called with the labels in their order, if the files give one. */
  readonly onClassNames?: ((classNames: readonly string[]) => void) | undefined;
  /** Called with what the user should know about a file. */
  readonly onNotice?: ((message: string) => void) | undefined;
}

/**
 * Reads the examples of a task from a file, or from several: a list, a folder, a pattern of names or the shards of one file,
 * as `findDataFiles` of `federa/data` finds them.
 *
 * @throws {ConfigError} when the file cannot be opened.
 * @throws {CorruptFileError} when it isn't what it should be.
 */
export async function readExamples(
  kind: TaskKind,
  paths: string | readonly string[],
  options: ReadFileOptions,
): Promise<Example[]> {
  const { columns = {}, ...rest } = options;
  const { format, onNotice } = options;
  return await withFileErrors(async () =>
    await read(await findDataFiles(paths, { format, onNotice }), kind, {
      ...stated(rest),
      columns: exampleColumns(kind, columns),
    })
  );
}

/**
 * Runs a function that reads a file, and turns errors of the file system into errors for the user.
 *
 * @throws {ConfigError} when the file cannot be opened.
 */
export async function withFileErrors<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause)) throw cause;
    throw new ConfigError(`Cannot read examples: ${cause.message}`, { cause });
  }
}

/** Returns the options that aren't undefined. */
export function stated<T extends object>(options: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}
