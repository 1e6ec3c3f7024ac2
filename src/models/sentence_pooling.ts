import { excerpt } from "../data/text/excerpt.ts";
import type { ModelFiles } from "../hub/files/model_files.ts";
import { readJsonObject, readJsonObjects } from "../hub/files/read_json_object.ts";
import { ModelConfigError } from "./errors.ts";
import type { Pooling } from "./pooling.ts";

/** The file in which models of `sentence-transformers` list their modules, and the usual folder for pooling. */
const modulesName = "modules.json";
const usualFolder = "1_Pooling";
const maxBytes = 1 << 20;

/** What older files mark as true, by the name that newer ones have for it. */
const flags: Readonly<Record<string, string>> = {
  pooling_mode_cls_token: "cls",
  pooling_mode_max_tokens: "max",
  pooling_mode_mean_tokens: "mean",
  pooling_mode_mean_sqrt_len_tokens: "mean_sqrt_len_tokens",
  pooling_mode_weightedmean_tokens: "weightedmean",
  pooling_mode_lasttoken: "lasttoken",
};

/** How a sentence encoder of the Python package `sentence-transformers` makes a vector of a text's token states. */
export interface SentenceModules {
  /** How it pools. */
  readonly pooling: Exclude<Pooling, "pooler">;
  /** The file that names it. */
  readonly file: string;
  /** Folders of the modules after the pooling, such as `2_Dense` and `3_Normalize`, which aren't part of the encoder here. */
  readonly behind: readonly string[];
}

/**
 * Reads the modules of a sentence encoder of the Python package `sentence-transformers`; undefined for a model that isn't
 * one.
 *
 * @throws {ModelConfigError} when it pools in another way than `mean` or `cls`, or the file that says how is missing.
 * @throws {CorruptFileError} when a file isn't the JSON that it should be.
 * @example
 * ```ts no-run
 * const { pooling, file, behind } = await readSentenceModules(files) ?? {};
 * ```
 */
export async function readSentenceModules(files: ModelFiles): Promise<SentenceModules | undefined> {
  const modules = await readJsonObjects(files, modulesName, { maxBytes });
  const isPooling = ({ type }: Record<string, unknown>) =>
    typeof type === "string" && /\.Pooling$/.test(type);
  const at = modules?.findIndex(isPooling) ?? -1;
  const folders = (modules ?? []).map(({ path }) => String(path ?? ""));
  const file = `${folders[at] || usualFolder}/config.json`;
  const json = await readJsonObject(files, file, { maxBytes });
  if (json === undefined) {
    if (at < 0) return undefined;
    throw new ModelConfigError(`Cannot pool as ${modulesName} of ${files.source} says: ${file} is missing`);
  }
  return {
    pooling: poolingOf(json, file, files.source),
    file,
    behind: at < 0 ? [] : folders.slice(at + 1),
  };
}

/**
 * How a sentence encoder of `sentence-transformers` pools; see {@linkcode readSentenceModules}.
 *
 * @throws as {@linkcode readSentenceModules}.
 * @example
 * ```ts no-run
 * const { encoder } = await openPretrained(gpu, files, { pooling: await readSentencePooling(files) });
 * ```
 */
export async function readSentencePooling(files: ModelFiles): Promise<Pooling | undefined> {
  return (await readSentenceModules(files))?.pooling;
}

function poolingOf(
  json: Readonly<Record<string, unknown>>,
  file: string,
  source: string,
): SentenceModules["pooling"] {
  const marked = Object.keys(flags).filter((flag) => json[flag] === true).map((flag) => flags[flag]!);
  const named = json["pooling_mode"] ?? (marked.length > 0 ? marked : "mean");
  const modes: unknown[] = Array.isArray(named) ? named : [named];
  const [mode] = modes;
  if (modes.length === 1 && (mode === "mean" || mode === "cls")) return mode;
  throw new ModelConfigError(
    `Cannot pool as ${file} of ${source} says: expected mean or cls, got ${excerpt(modes)}`,
  );
}
