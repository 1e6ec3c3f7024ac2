import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { errorCode } from "./error_code.ts";

const ABSENCES = new Set(["ENOENT", "ENOTDIR", "EISDIR", "ENAMETOOLONG", "ERR_INVALID_ARG_VALUE"]);

/**
 * Whether an error means that there is no such file. A folder in place of the file counts, as do a file in place of a folder
 * and a path with a NUL, which no file can have.
 */
export function isAbsence(error: unknown): boolean {
  return ABSENCES.has(errorCode(error) ?? "");
}

/**
 * What the file system says about a path, through links too; undefined if nothing is there (Node only).
 *
 * @throws the file system's error if the path can't be examined, for example without permission.
 */
export async function statIfPresent(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}
