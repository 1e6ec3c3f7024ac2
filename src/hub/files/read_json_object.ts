import { CorruptFileError } from "../../data/errors.ts";
import { isObject } from "../../data/rows/json/is_object.ts";
import { excerpt } from "../../data/text/excerpt.ts";
import type { ModelFiles } from "./model_files.ts";
import { readModelFile, type ReadModelFileOptions } from "./read_model_file.ts";

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
  const found = await readJson(files, name, options);
  if (found === undefined || isObject(found.value)) {
    return found?.value as Record<string, unknown> | undefined;
  }
  throw new CorruptFileError(
    `Cannot read ${found.path}: it must be a JSON object, got ${excerpt(found.value)}`,
  );
}

/**
 * Reads a file of a model that holds a JSON list of objects; undefined if the model has none of that name.
 *
 * @throws as {@linkcode readJsonObject}.
 */
export async function readJsonObjects(
  files: ModelFiles,
  name: string,
  options: ReadModelFileOptions = {},
): Promise<Record<string, unknown>[] | undefined> {
  const found = await readJson(files, name, options);
  if (found === undefined) return undefined;
  if (Array.isArray(found.value) && found.value.every(isObject)) return found.value;
  throw new CorruptFileError(
    `Cannot read ${found.path}: it must be a list of JSON objects, got ${excerpt(found.value)}`,
  );
}

async function readJson(
  files: ModelFiles,
  name: string,
  options: ReadModelFileOptions,
): Promise<{ readonly path: string; readonly value: unknown } | undefined> {
  const file = await readModelFile(files, name, options);
  if (file === undefined) return undefined;
  try {
    return {
      path: file.path,
      value: JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(file.bytes)),
    };
  } catch (cause) {
    throw new CorruptFileError(`Cannot read ${file.path}: it is not JSON in UTF-8`, { cause });
  }
}
