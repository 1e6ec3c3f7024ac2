import { isAbsolute, join, resolve } from "node:path";
import process from "node:process";
import { statIfPresent } from "../../data/files/absence.ts";
import { isRepoName, parseModelSpec } from "../../hub/model_spec.ts";
import { printableJson } from "../../data/text/printable.ts";
import { HubError, type LocalModelFiles, openModelFiles } from "../../hub/mod.ts";
import type { PeftAdapter } from "../../federa/mod.ts";
import { USE_LITE } from "../config/model_config.ts";
import { ConfigError } from "../config/parse_config.ts";
import type { LoadOptions } from "../data/load_data.ts";
import { showModelFiles } from "../report/show_downloads.ts";

/** Options of {@linkcode openBase}. */
export interface OpenBaseOptions extends LoadOptions {
  /** The source that the user gave, which overrides the recorded one. */
  readonly base?: string | undefined;
}

/**
 * The files of a PEFT adapter's base model. As in `transformers`, its name is a folder, relative to the current one, or else a
 * model of the hub, at the revision that the adapter names.
 *
 * @throws {ConfigError} when the adapter names no base, or a folder that isn't here.
 * @throws {HubError} when the base isn't available from the hub.
 */
export async function openPeftBase(
  { source: from, config: { baseModel: named, revision } }: Pick<PeftAdapter, "source" | "config">,
  { base, reporter, signal }: OpenBaseOptions,
): Promise<LocalModelFiles> {
  const open = (source: string) => openModelFiles(source, { signal, onProgress: showModelFiles(reporter) });
  if (base !== undefined) return await open(base);
  if (named === undefined) {
    throw new ConfigError(`Cannot use the adapter of ${from}: it doesn't name its base model; give --base`);
  }
  if (await isFolder(named)) return await open(named);
  const name = showPath(named);
  const near = await findNear(from, named);
  const advice = near === undefined
    ? "give the folder or hf:owner/name of that model as --base"
    : `if it is ${near}, give that as --base`;
  if (!isRepoName(named)) {
    throw new ConfigError(
      `Cannot use the adapter of ${from}: its base model is the path ${name}, and there is no such folder ` +
        `${isAbsolute(named) ? "here" : `in ${process.cwd()}`}; ${advice}`,
    );
  }
  try {
    return await open(`hf:${named}${revision === undefined ? "" : `@${revision}`}`);
  } catch (error) {
    if (!(error instanceof HubError)) throw error;
    throw new HubError(
      `Cannot open ${name}, which the adapter of ${from} names as its base model: it is not a folder in ${process.cwd()}, ` +
        `and it isn't available from the hub; ${advice} (${error.message})`,
      error.reason,
      { cause: error },
    );
  }
}

/**
 * The source of the model that training started from: the one that the user gave, else the recorded one.
 *
 * @throws {ConfigError} when it was a folder that isn't here any more.
 */
export async function findOwnBase(
  folder: string,
  recorded: string,
  { base }: Pick<OpenBaseOptions, "base">,
): Promise<string> {
  if (base !== undefined) return base;
  if (recorded === USE_LITE || parseModelSpec(recorded).kind !== "folder" || await isFolder(recorded)) {
    return recorded;
  }
  throw new ConfigError(
    `Cannot open the model in ${folder}: it was trained on the model in ${
      showPath(recorded)
    }, and there is no such folder ` +
      "here; give the folder or hf:owner/name of that model as --base",
  );
}

/** The folder of a path relative to the adapter's folder or one of its parents. */
async function findNear(adapter: string, named: string): Promise<string | undefined> {
  if (isAbsolute(named) || parseModelSpec(adapter).kind !== "folder") return undefined;
  for (const above of [".", "..", join("..", "..")]) {
    const place = resolve(adapter, above, named);
    if (await isFolder(place)) return place;
  }
  return undefined;
}

/** A path from a file, for a message; cut where no path is so long. */
function showPath(path: string): string {
  return printableJson(path.length > 4096 ? `${path.slice(0, 4096)}…` : path);
}

async function isFolder(path: string): Promise<boolean> {
  return (await statIfPresent(path))?.isDirectory() ?? false;
}
