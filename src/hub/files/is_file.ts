import { statIfPresent } from "../../data/files/absence.ts";

/** Whether a path leads to a file, through links too. */
export async function isFile(path: string): Promise<boolean> {
  return (await statIfPresent(path))?.isFile() ?? false;
}
