import { existsSync } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { makeFolder, WriteError, writeFileAtomic } from "../../data/mod.ts";
import { describeCause } from "../../data/files/describe_cause.ts";
import { HISTORY } from "../checkpoint/past.ts";
import { runSlots } from "../checkpoint/run_slots.ts";
import type { Config } from "../config/config.ts";
import { ConfigError, readConfig } from "../config/parse_config.ts";
import { FederaError } from "../../engine/errors.ts";

/** Name of the configuration in the folder of a run. */
const CONFIG = "config.json";

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
export async function createRunFolder(config: Pick<Config, "name" | "output">): Promise<string> {
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

/**
 * The configuration in the folder of a run.
 *
 * @throws {ConfigError} when there is none, or it can't be used.
 */
export async function readRunConfig(folder: string): Promise<Config> {
  const path = join(folder, CONFIG);
  const info = await stat(path).catch(() => undefined);
  if (info?.isFile()) {
    const config = await readConfig(path);
    // One that was ended before its first method has nothing but its configuration.
    const isNamed = /^-\d{3,}$/.test(basename(resolve(folder)).replace(config.name, ""));
    if (isNamed || runSlots(config, folder).some((slot) => existsSync(join(slot.folder, HISTORY)))) {
      return config;
    }
    throw new ConfigError(
      `Cannot resume ${folder}: no method has begun in it; give the folder of a run, such as runs/mail-001, or start one with ` +
        `federa run ${path}`,
    );
  }
  const isConfig = (await stat(folder).catch(() => undefined))?.isFile();
  throw new ConfigError(
    `Cannot resume ${folder}: ${
      isConfig ? "it is a file" : `it has no ${CONFIG}`
    }; give the folder of a run, such as runs/mail-001`,
  );
}

/** Removes the unfinished files that a process has left which was killed while it wrote them. */
export async function removeTemporaries(folder: string): Promise<void> {
  for (const name of await readdir(folder, { recursive: true })) {
    if (/\.[0-9a-f]{12}\.tmp$/.test(name)) await rm(join(folder, name), { force: true });
  }
}

/** Writes a configuration into the folder of its run. */
export async function writeConfig(folder: string, config: object): Promise<void> {
  await writeFileAtomic(join(folder, CONFIG), `${JSON.stringify(config, null, 2)}\n`);
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
