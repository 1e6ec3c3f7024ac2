import { realpath } from "node:fs/promises";
import { errorCode } from "../../data/files/error_code.ts";
import { withCacheErrors } from "../cache_folder.ts";
import { CorruptFileError } from "../../data/errors.ts";
import { HubError } from "../errors.ts";
import { hasHubHash } from "./_blob_check.ts";
import { downloadBlob } from "./_download_blob.ts";
import { checkFileName } from "../files/file_name.ts";
import { HubClient } from "./_hub_client.ts";
import { RepoCache } from "./_repo_cache.ts";
import type { Patience } from "./retry.ts";
import type { HubSettings } from "./settings.ts";
import type { LocatedFiles } from "../files/local_model_files.ts";
import type { ModelFileProgress } from "../files/model_file_progress.ts";

/** Options of {@linkcode openHubModel}. */
export interface HubModelOptions {
  readonly settings: HubSettings;
  readonly patience: Patience;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: ModelFileProgress) => void) | undefined;
}

/**
 * Opens a model of the hub at the commit that its revision stands for now (offline: stood for when last asked).
 *
 * @throws {HubError} when that cannot be known.
 */
export async function openHubModel(
  { repo, revision }: { repo: string; revision: string },
  options: HubModelOptions,
): Promise<LocatedFiles> {
  const { settings, patience, signal } = options;
  const cache = new RepoCache(settings.cacheFolder, repo, settings.links);
  const client = new HubClient(repo, { ...settings, patience, signal });
  const isCommit = /^[0-9a-f]{40}$/.test(revision);
  if (!settings.offline) {
    const { commit, names } = isCommit
      ? { commit: revision, names: undefined }
      : await client.listing(revision);
    return new HubModel(repo, { commit, revision, ...(names && { names }), cache, client }, options);
  }
  const commit = await withHubCacheErrors(settings, async () => {
    if (!isCommit) return await cache.readRef(revision);
    return await cache.knows(revision) ? revision : undefined;
  });
  if (commit !== undefined) return new HubModel(repo, { commit, revision, cache, client }, options);
  throw new HubError(
    `Cannot open hf:${repo}@${revision}: HF_HUB_OFFLINE is set and the cache ${settings.cacheFolder} has no such ` +
      "revision; unset it to download the model, or set HF_HUB_CACHE to a folder that has it",
    "offline",
  );
}

interface Pinned {
  readonly commit: string;
  /** The revision that the commit was found by. */
  readonly revision: string;
  /** All files, if the hub has listed them. */
  readonly names?: ReadonlySet<string>;
  readonly cache: RepoCache;
  readonly client: HubClient;
}

/** The names of a model's files. */
type FileNames = Pick<ReadonlySet<string>, "has">;

class HubModel implements LocatedFiles {
  readonly source: string;
  readonly #pinned: Pinned;
  readonly #options: HubModelOptions;
  readonly #paths = new Map<string, Promise<string | undefined>>();
  /** Downloads under way, by hash: two names may have the same content. */
  readonly #downloads = new Map<string, Promise<void>>();
  #names: Promise<FileNames> | undefined;

  constructor(repo: string, pinned: Pinned, options: HubModelOptions) {
    this.source = `hf:${repo}@${pinned.commit}`;
    this.#pinned = pinned;
    this.#options = options;
    if (pinned.names) this.#names = Promise.resolve(pinned.names);
  }

  async has(name: string): Promise<boolean> {
    checkFileName(name);
    const { cache, commit } = this.#pinned;
    return await withHubCacheErrors(this.#options.settings, async () => {
      if (await cache.find(commit, name) !== undefined) return true;
      if (await cache.isMissing(commit, name)) return false;
      const { offline } = this.#options.settings;
      const names = offline ? await cache.files(commit) : await this.#listing();
      return names?.has(name) ?? false;
    });
  }

  path(name: string): Promise<string | undefined> {
    let path = this.#paths.get(name);
    if (path === undefined) {
      path = withHubCacheErrors(this.#options.settings, () => this.#locate(name));
      this.#paths.set(name, path);
      // A failed file may be asked for again.
      path.catch(() => this.#paths.delete(name));
    }
    return path;
  }

  async #locate(name: string): Promise<string | undefined> {
    checkFileName(name);
    const { cache, commit, revision } = this.#pinned;
    const found = await cache.find(commit, name);
    if (found === undefined && await cache.isMissing(commit, name)) return undefined;
    const hash = found && await cache.expectedHash(commit, name);
    const isDamaged = hash !== undefined && !await hasHubHash(found!, hash);
    if (this.#options.settings.offline) {
      if (found === undefined) await this.#checkOffline(name);
      if (isDamaged) throw this.#damaged(name, await realpath(found!));
      return found;
    }
    const path = isDamaged ? await this.#download(name) : found ?? await this.#download(name);
    if (path === undefined) await ifWritable(() => cache.markMissing(commit, name));
    if (revision !== commit) await ifWritable(() => cache.writeRef(revision, commit));
    return path;
  }

  async #download(name: string): Promise<string | undefined> {
    const { cache, client, commit } = this.#pinned;
    const { onProgress } = this.#options;
    if (!(await this.#listing()).has(name)) return undefined;
    const info = await client.fileInfo(commit, name);
    const report = (phase: ModelFileProgress["phase"], bytes: number) =>
      onProgress?.({ file: name, phase, bytes, total: info.size });
    let bytes = 0;
    const source = { client, commit, name, info };
    const download = this.#downloads.get(info.etag) ??
      downloadBlob(cache.blobPath(info.etag), source, (count) => report("download", bytes = count));
    this.#downloads.set(info.etag, download);
    await download.finally(() => this.#downloads.delete(info.etag));
    const path = await cache.place(commit, name, info.etag);
    report("ready", info.size ?? bytes);
    return path;
  }

  /** Names of all files: as the hub listed them when the model was opened, as Python noted them, or as the hub lists them now. */
  async #listing(): Promise<FileNames> {
    const { cache, client, commit } = this.#pinned;
    this.#names ??= (async () => await cache.files(commit) ?? (await client.listing(commit)).names)();
    try {
      return await this.#names;
    } catch (error) {
      this.#names = undefined;
      throw error;
    }
  }

  #damaged(name: string, path: string): CorruptFileError {
    return new CorruptFileError(
      `Cannot read ${name} of ${this.source}: the bytes of ${path} are not those that the hub has; unset ` +
        "HF_HUB_OFFLINE to download the file again, or remove it and copy it here again",
    );
  }

  /** A file that isn't in the cache is an error if the model is known to have it. */
  async #checkOffline(name: string): Promise<void> {
    const { cache, commit } = this.#pinned;
    if (!(await cache.files(commit))?.has(name)) return;
    throw new HubError(
      `Cannot read ${name} of ${this.source}: HF_HUB_OFFLINE is set and the cache ${this.#options.settings.cacheFolder} ` +
        "lacks the file; unset it to download the file",
      "offline",
    );
  }
}

/** A read-only cache, shared between users, still serves its files; the notes only save time. */
async function ifWritable(note: () => Promise<void>): Promise<void> {
  try {
    await note();
  } catch (error) {
    if (!["EACCES", "EPERM", "EROFS"].includes(errorCode(error) ?? "")) throw error;
  }
}

async function withHubCacheErrors<T>(settings: HubSettings, step: () => Promise<T>): Promise<T> {
  return await withCacheErrors(settings.cacheFolder, step, { variable: "HF_HUB_CACHE" });
}
