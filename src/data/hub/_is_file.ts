import { stat } from "node:fs/promises";
import { errorCode } from "../cache_folder.ts";

/** Whether a path leads to a file, through links too. */
export async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if (isAbsence(error)) return false;
    throw error;
  }
}

/**
 * Whether an error means that there is no such file. A folder in place of the file counts, as do a file in place of a folder
 * and a path with a NUL, which no file can have.
 */
export function isAbsence(error: unknown): boolean {
  return ABSENCES.has(errorCode(error) ?? "");
}

const ABSENCES = new Set(["ENOENT", "ENOTDIR", "EISDIR", "ENAMETOOLONG", "ERR_INVALID_ARG_VALUE"]);
