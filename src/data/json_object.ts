import { CorruptFileError } from "./errors.ts";
import { excerpt } from "./excerpt.ts";
import type { ModelFiles } from "./hub/model_files.ts";
import { readModelFile, type ReadModelFileOptions } from "./hub/read_model_file.ts";

/**
 * Reads a file of a model that holds one JSON object; undefined if the model has none of that name.
 *
 * @throws {CorruptFileError} naming the file, when it is too long, or not a JSON object in UTF-8.
 * @throws what opening and reading it throws.
 */
export async function readJsonObject(
  files: ModelFiles,
  name: string,
  options: ReadModelFileOptions = {},
): Promise<Record<string, unknown> | undefined> {
  const file = await readModelFile(files, name, options);
  if (file === undefined) return undefined;
  const corrupt = (what: string, cause?: unknown) =>
    new CorruptFileError(`Cannot read ${file.path}: ${what}`, { cause });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(file.bytes));
  } catch (cause) {
    throw corrupt("it is not JSON in UTF-8", cause);
  }
  if (!isObject(value)) throw corrupt(`it must be a JSON object, got ${excerpt(value)}`);
  return value;
}

/** Whether a JSON value is an object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
