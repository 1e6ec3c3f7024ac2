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
 * Whether an error says that there is no such file: a folder in its place and a file in a folder's count, and so does a
 * path that no file can have, with a NUL in it.
 */
export function isAbsence(error: unknown): boolean {
  return ABSENCES.has(errorCode(error) ?? "");
}

const ABSENCES = new Set(["ENOENT", "ENOTDIR", "EISDIR", "ENAMETOOLONG", "ERR_INVALID_ARG_VALUE"]);
