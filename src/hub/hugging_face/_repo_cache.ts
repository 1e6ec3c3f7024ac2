import { copyFile, readFile, readlink, rename, rm, stat, symlink } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { basename, dirname, join, relative } from "node:path";
import { errorCode } from "../../data/files/error_code.ts";
import { makeFolder, writeFileAtomic } from "../../data/files/write_file.ts";
import { isFile } from "../files/is_file.ts";
import { isAbsence } from "../../data/files/absence.ts";

/**
 * The folder of one model in the cache of `huggingface_hub`, in that library's layout:
 *
 * ```
 * models--owner--name/blobs/<hash>                    content, once
 *                     refs/<branch or tag>            the commit that it stood for when last asked
 *                     snapshots/<commit>/<file name>  relative link to a blob
 *                     .no_exist/<commit>/<file name>  empty: this commit has no such file
 *                     trees/<commit>.json             all files of a commit, where Python has listed them
 * ```
 *
 * Nothing of others is ever removed: the cache is the user's, and `hf cache` manages it.
 */
export class RepoCache {
  readonly #root: string;
  readonly #links: boolean;

  /** @param links whether snapshots link to blobs; copies, where the file system or the user has no links. */
  constructor(cacheFolder: string, repo: string, links: boolean) {
    const folder = `models--${repo.replace("/", "--")}`;
    this.#root = join(cacheFolder, folder);
    this.#links = links;
  }

  /** Where the content with this hash is, once it is whole. */
  blobPath(hash: string): string {
    return join(this.#root, "blobs", hash);
  }

  /** Path of a file of a commit, if it is there. */
  async find(commit: string, name: string): Promise<string | undefined> {
    const path = this.#snapshotPath(commit, name);
    return await isFile(path) ? path : undefined;
  }

  /**
   * The hash that a file of a commit must have, by the name of the blob that it links to, or by Python's list of the commit's
   * files where it is a copy; undefined if neither says.
   */
  async expectedHash(commit: string, name: string): Promise<string | undefined> {
    return await linkedHash(this.#snapshotPath(commit, name)) ?? (await this.files(commit))?.get(name);
  }

  /** The commit that a branch or tag stood for when last asked. */
  async readRef(revision: string): Promise<string | undefined> {
    const text = (await readIfPresent(join(this.#root, "refs", revision)))?.trim();
    return text !== undefined && /^[0-9a-f]{40}$/.test(text) ? text : undefined;
  }

  /** Whether anything of a commit is there. */
  async knows(commit: string): Promise<boolean> {
    const snapshot = await stat(join(this.#root, "snapshots", commit)).catch((error) => {
      if (isAbsence(error)) return undefined;
      throw error;
    });
    return snapshot !== undefined || await this.files(commit) !== undefined;
  }

  /** Notes the commit of a branch or tag. */
  async writeRef(revision: string, commit: string): Promise<void> {
    if (await this.readRef(revision) === commit) return;
    const path = join(this.#root, "refs", revision);
    await makeFolder(dirname(path));
    await writeFileAtomic(path, commit);
  }

  /** Whether a commit is known to lack a file. */
  async isMissing(commit: string, name: string): Promise<boolean> {
    return await isFile(join(this.#root, ".no_exist", commit, name));
  }

  /** Notes that a commit lacks a file. */
  async markMissing(commit: string, name: string): Promise<void> {
    const path = join(this.#root, ".no_exist", commit, name);
    await makeFolder(dirname(path));
    await writeFileAtomic(path, "");
  }

  /** Names and hashes of all files of a commit, if Python has listed them. */
  async files(commit: string): Promise<ReadonlyMap<string, string | undefined> | undefined> {
    const text = await readIfPresent(join(this.#root, "trees", `${commit}.json`));
    if (text === undefined) return undefined;
    try {
      const tree: { format_version?: unknown; files?: unknown } = JSON.parse(text);
      if (tree.format_version !== 1 || typeof tree.files !== "object" || tree.files === null) {
        return undefined;
      }
      return new Map(Object.entries(tree.files).map(([name, file]) => [name, hashIn(file)]));
    } catch {
      // Python too goes on without a list that it cannot read: it is a shortcut only.
      return undefined;
    }
  }

  /** Makes content that is in the cache the file of a commit, and gives the file's path. */
  async place(commit: string, name: string, hash: string): Promise<string> {
    const path = this.#snapshotPath(commit, name);
    await makeFolder(dirname(path));
    if (!this.#links || !await this.#link(path, hash)) {
      const copy = `${path}.${randomBytes(4).toString("hex")}.tmp`;
      try {
        await copyFile(this.blobPath(hash), copy);
        await rename(copy, path);
      } finally {
        await rm(copy, { force: true });
      }
    }
    return path;
  }

  /** Links to a blob; false where links aren't available. A link to another blob, or to one that is gone, is replaced. */
  async #link(path: string, hash: string): Promise<boolean> {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        await symlink(relative(dirname(path), this.blobPath(hash)), path, "file");
        return true;
      } catch (error) {
        const code = errorCode(error) ?? "";
        if (WITHOUT_LINKS.has(code)) return false;
        if (code !== "EEXIST") throw error;
      }
      // Another process may have placed it just now.
      if (await isFile(path) && await linkedHash(path) === hash) return true;
      await rm(path, { force: true });
    }
    return false;
  }

  #snapshotPath(commit: string, name: string): string {
    return join(this.#root, "snapshots", commit, name);
  }
}

/** What file systems without links, and Windows without the right to make them, answer. */
const WITHOUT_LINKS = new Set(["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "UNKNOWN"]);

/** The hash that names the blob to which a link leads; undefined if it is no link, or something else has named it. */
async function linkedHash(path: string): Promise<string | undefined> {
  const target = await readlink(path).catch((error) => {
    if (isAbsence(error) || errorCode(error) === "EINVAL") return "";
    throw error;
  });
  return hashOf(basename(target));
}

/** The hash of a file in Python's list: a large file has that of its content beside that of git's pointer to it. */
function hashIn(file: { lfs_sha256?: unknown; blob_id?: unknown } | null): string | undefined {
  return hashOf(file?.lfs_sha256 ?? file?.blob_id);
}

function hashOf(value: unknown): string | undefined {
  return typeof value === "string" && /^(?:[0-9a-f]{64}|[0-9a-f]{40})$/.test(value) ? value : undefined;
}

async function readIfPresent(path: string): Promise<string | undefined> {
  return await readFile(path, "utf8").catch((error) => {
    if (isAbsence(error)) return undefined;
    throw error;
  });
}
