import { excerpt } from "../data/excerpt.ts";
import type { ModelFiles } from "../data/hub/model_files.ts";
import { readJsonObject } from "../data/json_object.ts";
import { ModelConfigError } from "./errors.ts";
import type { Pooling } from "./pooling.ts";

/** Where models of `sentence-transformers` say how they pool. */
const fileName = "1_Pooling/config.json";
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

/**
 * How a sentence encoder of the Python package `sentence-transformers` makes one vector of a text's token states; undefined
 * for a model that isn't one.
 *
 * @throws {ModelConfigError} when it pools in another way than `mean` or `cls`.
 * @throws {CorruptFileError} when the file isn't a JSON object.
 * @example
 * ```ts no-run
 * const { encoder } = await openPretrained(gpu, files, { pooling: await readSentencePooling(files) });
 * ```
 */
export async function readSentencePooling(files: ModelFiles): Promise<Pooling | undefined> {
  const json = await readJsonObject(files, fileName, { maxBytes });
  if (json === undefined) return undefined;
  const marked = Object.keys(flags).filter((flag) => json[flag] === true).map((flag) => flags[flag]!);
  const named = json.pooling_mode ?? (marked.length > 0 ? marked : "mean");
  const modes: unknown[] = Array.isArray(named) ? named : [named];
  const [mode] = modes;
  if (modes.length === 1 && (mode === "mean" || mode === "cls")) return mode;
  throw new ModelConfigError(
    `Cannot pool as ${fileName} of ${files.source} says: expected mean or cls, got ${excerpt(modes)}`,
  );
}
