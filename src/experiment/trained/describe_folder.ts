import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { errorCode } from "../../data/files/error_code.ts";
import { statIfPresent } from "../../data/files/absence.ts";
import { DESCRIPTION } from "./model_folder.ts";

const WEIGHTS = ["adapter_model.safetensors", "adapter_model.bin"];
const WHOLE = ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"];

/** The most folders that are searched. */
const mostFolders = 200;

/**
 * Says why a folder holds no trained model and what to do about it; undefined if it may hold one.
 */
export async function whyNoModel(path: string): Promise<string | undefined> {
  const info = await statIfPresent(path);
  if (info === undefined) return "there is no such folder";
  if (!info.isDirectory()) return `it is not a folder; give ${dirname(path)}, the folder that holds it`;
  const names: ReadonlySet<string> = new Set(await readdir(path));
  if ([DESCRIPTION, "adapter_config.json"].some((name) => names.has(name))) return undefined;
  if (names.has("config.json") && WHOLE.some((name) => names.has(name))) return undefined;
  const inside = await modelsIn(path);
  if (inside.length > 0) {
    return `its models are in subfolders; give one of ${listed(inside)}`;
  }
  if (names.has("history.jsonl")) {
    return `it has no ${DESCRIPTION}: the method hasn't ended yet, or failed or was interrupted, as its history.jsonl says`;
  }
  const weights = WEIGHTS.find((name) => names.has(name));
  if (weights !== undefined) {
    return `it has ${weights} but no adapter_config.json, which names the base model and the settings; PEFT's save_pretrained ` +
      "writes both, so copy that file there too";
  }
  const whole = WHOLE.find((name) => names.has(name));
  if (whole !== undefined) {
    return `it has ${whole} but no config.json, which describes the model; save_pretrained writes both, so copy that file ` +
      "there too";
  }
  return names.has("config.json")
    ? undefined
    : `it has neither ${DESCRIPTION}, which federa run writes for each method, nor adapter_config.json, which PEFT writes, nor ` +
      "the config.json of a whole model";
}

/** Lists some paths in full, so that they can be copied. */
function listed(paths: readonly string[]): string {
  const shown = paths.slice(0, 6).join(", ");
  return paths.length > 6 ? `${shown} and ${paths.length - 6} more` : shown;
}

/** Folders with trained models in a folder, or one further down. */
async function modelsIn(path: string): Promise<string[]> {
  const found: string[] = [];
  const folders = await foldersIn(path);
  for (
    const folder of [...folders, ...(await Promise.all(folders.map(foldersIn))).flat()].slice(0, mostFolders)
  ) {
    const names = await namesIn(folder);
    if ([DESCRIPTION, "adapter_config.json"].some((name) => names.has(name))) found.push(folder);
  }
  return found;
}

async function foldersIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(noneIfForbidden);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(path, name)).sort().slice(
    0,
    mostFolders,
  );
}

async function namesIn(path: string): Promise<ReadonlySet<string>> {
  return new Set(await readdir(path).catch(noneIfForbidden));
}

/** Folders that the user may not read are skipped in a search. */
function noneIfForbidden(error: unknown): [] {
  if (errorCode(error) === "EACCES" || errorCode(error) === "EPERM") return [];
  throw error;
}
