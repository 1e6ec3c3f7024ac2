import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder, WriteError, writeFileAtomic } from "../../data/mod.ts";
import { describeCause } from "../../data/files/describe_cause.ts";
import type { Config } from "../config/config.ts";
import { FederaError } from "../../engine/errors.ts";

/** The folder of a run cannot be made or written. */
export class RunFolderError extends FederaError {
  override name = "RunFolderError";
}

/**
 * Makes the folder of a run, `<output>/<name>-001` or the next free number, and writes the configuration into it, which
 * also proves that the folder is writable. Two processes never get the same folder.
 *
 * @throws {RunFolderError} naming the folder and the reason.
 */
export async function createRunFolder(config: Config): Promise<string> {
  const { output, name } = config;
  try {
    await makeFolder(output);
    for (let number = 1;; number++) {
      const folder = join(output, `${name}-${String(number).padStart(3, "0")}`);
      if (!await isMade(folder)) continue;
      await writeConfig(folder, config);
      return folder;
    }
  } catch (cause) {
    const reason = describeCause(cause instanceof WriteError ? cause.cause : cause);
    throw new RunFolderError(
      `Cannot write a run into folder ${output}: ${reason}; set "output" to a folder that can be written`,
      {
        cause,
      },
    );
  }
}

/** Writes a configuration into the folder of its run. */
export async function writeConfig(folder: string, config: Config): Promise<void> {
  await writeFileAtomic(join(folder, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
}

/** Makes a folder; returns false if it existed. */
async function isMade(folder: string): Promise<boolean> {
  try {
    await mkdir(folder);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

/**
 * Makes a new folder in an existing one.
 *
 * @throws {WriteError} naming the folder and the reason.
 */
export async function makeNew(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (cause) {
    throw new WriteError(`Cannot make folder ${folder}: ${describeCause(cause)}`, { cause });
  }
}
