import process from "node:process";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "./cache_folder.ts";
import { HubError } from "./errors.ts";
import { openFolderModel } from "./files/folder_model.ts";
import { openHubModel } from "./hugging_face/hub_model.ts";
import { openNpmModel } from "./npm/npm_model.ts";
import { PATIENCE, type Patience } from "./hugging_face/retry.ts";
import { type Environment, readHubSettings } from "./hugging_face/settings.ts";
import type { ModelFileProgress } from "./files/model_file_progress.ts";
import { localModelFiles, type LocatedFiles } from "./files/local_model_files.ts";
import type { LocalModelFiles } from "./files/model_files.ts";
import { parseModelSpec } from "./model_spec.ts";

/** Options of {@linkcode openModelFiles}. */
export interface OpenModelOptions {
  /** Called often with the progress of a download. */
  onProgress?: ((progress: ModelFileProgress) => void) | undefined;
  /** Ends requests and downloads, those that `path` starts too; they reject with its reason. */
  signal?: AbortSignal | undefined;
  /** Where the hub's variables are read from, `process.env` by default. */
  environment?: Environment | undefined;
  /** How long to try; five attempts and 30 s of silence by default. */
  patience?: Partial<Patience> | undefined;
  /** Where npm packages are kept, {@linkcode cacheFolder} by default. */
  cacheFolder?: string | undefined;
  /** The npm to run, a program and its first arguments. */
  npmCommand?: readonly string[] | undefined;
}

/**
 * Opens the files of a model (Node only). `spec` is one of
 *
 * - `hf:owner/name` or `hf:owner/name@revision`: a model of the Hugging Face hub. Its commit is looked up once, here
 *   (offline: in the cache), and all files come from it. They are kept in the cache of Python's `huggingface_hub`, in
 *   its layout, so that each finds what the other has fetched. `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_TOKEN`,
 *   `HF_TOKEN_PATH`, `HF_HUB_OFFLINE` and `HF_HUB_DISABLE_SYMLINKS` mean what they mean there. That cache is the
 *   user's, shared and never shortened here; `hf cache` does that.
 * - `npm:package@1.0.0` or `npm:package@1.0.0/folder`: an exact version of an npm package, kept in the user cache of
 *   this program, one version of each package.
 * - anything else: a folder, as a path or a `file:` address.
 *
 * A download that was interrupted goes on where it ended, and is checked by size and hash before it counts. Cut
 * connections, silence, 429 and 5xx are tried again, with bounds. A cached file is checked by its hash when it is first
 * asked for, at about a gigabyte a second; a damaged one is fetched again. Offline, a file that is neither in the cache nor in
 * a list of the model's files counts as one that the model doesn't have.
 *
 * @throws {HubError} with a `reason`, when the model isn't available.
 * @throws {PackageUnavailableError} when npm cannot fetch a package.
 * @throws {CorruptFileError} when bytes don't match the hub's hash.
 * @throws {CacheError} when a cache cannot be read or written. `path` of the result throws the same.
 *
 * @example
 * ```ts no-run
 * const model = await openModelFiles("hf:distilbert/distilbert-base-uncased");
 * await model.path("config.json"); // ~/.cache/huggingface/hub/models--distilbert--…/snapshots/…/config.json
 * await model.path("no-such-file"); // undefined
 * ```
 */
export async function openModelFiles(spec: string, options: OpenModelOptions = {}): Promise<LocalModelFiles> {
  return localModelFiles(await locate(spec, options));
}

async function locate(spec: string, options: OpenModelOptions): Promise<LocatedFiles> {
  const { signal, onProgress, npmCommand } = options;
  const parsed = parseModelSpec(spec);
  switch (parsed.kind) {
    case "hf": {
      const settings = await readHubSettings(options.environment ?? process.env);
      const patience = { ...PATIENCE, ...options.patience };
      return await openHubModel(parsed, { settings, patience, signal, onProgress });
    }
    case "npm": {
      const cache = options.cacheFolder ?? cacheFolder();
      return await openNpmModel(parsed, { cacheFolder: cache, npmCommand, signal, onProgress });
    }
    case "folder":
      return await openFolderModel(spec.startsWith("file:") ? pathOf(spec) : parsed.path);
  }
}

function pathOf(address: string): string {
  try {
    return fileURLToPath(address);
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new HubError(
      `Cannot open model: a file: address is like file:///home/me/model, got ${JSON.stringify(address)}`,
      "invalid",
      { cause },
    );
  }
}
