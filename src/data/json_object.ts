import { readFile, stat } from "node:fs/promises";
import { CorruptFileError } from "./errors.ts";
import { excerpt } from "./excerpt.ts";

/** Options of {@linkcode readJsonObject}. */
export interface ReadJsonObjectOptions {
  /** The longest file that is read; 64 MiB by default. */
  readonly maxBytes?: number;
}

/**
 * Reads a file that holds one JSON object (Node only).
 *
 * @throws {CorruptFileError} naming the file, when it is too long, or not a JSON object in UTF-8.
 * @throws the file system's error if it cannot be read.
 */
export async function readJsonObject(
  path: string,
  options: ReadJsonObjectOptions = {},
): Promise<Record<string, unknown>> {
  const { maxBytes = 64 << 20 } = options;
  const corrupt = (what: string, cause?: unknown) =>
    new CorruptFileError(`Cannot read ${path}: ${what}`, { cause });
  const { size } = await stat(path);
  if (size > maxBytes) throw corrupt(`it may take ${maxBytes} bytes, got ${size}`);
  const bytes = await readFile(path);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
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
