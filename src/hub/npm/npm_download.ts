import { mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { errorCode } from "../../data/files/error_code.ts";
import { makeFolder } from "../../data/files/write_file.ts";
import { npmPack, type NpmPackOptions, type PackedTarball } from "./npm_pack.ts";

/** Options of {@linkcode downloadNpmTarball}. */
export interface NpmDownloadOptions extends NpmPackOptions {
  /** Looks at the tarball before it takes its place, and throws if it isn't what it should be. */
  check: (packed: PackedTarball) => Promise<void>;
}

const TEMPORARY = ".download-";
/** The prefix of temporary folders of this machine's processes; the process id follows. */
const own = () => `${TEMPORARY}${hostname().replace(/[^\w.]/g, "_")}-`;
const STALE_MILLISECONDS = 24 * 60 * 60 * 1000;

/**
 * Has npm fetch one version of a package and moves its tarball to `path`, in the folder of that version. The download
 * lies in a temporary folder of its own until it is whole and checked. Other versions of the package are removed, and
 * so are temporary folders older than a day, or of a process that has ended.
 *
 * @throws as {@linkcode npmPack} and `check`.
 */
export async function downloadNpmTarball(
  pkg: { readonly name: string; readonly version: string },
  path: string,
  options: NpmDownloadOptions,
): Promise<void> {
  const folder = dirname(path);
  const root = dirname(folder);
  await makeFolder(root);
  await removeLeftovers(root);
  const temporary = await mkdtemp(join(root, `${own()}${process.pid}-`));
  try {
    const packed = await npmPack(pkg, temporary, options);
    await options.check(packed);
    await makeFolder(folder);
    await rename(packed.tarball, path);
    await removeOtherVersions(pkg.name, folder);
  } finally {
    await removeTree(temporary);
  }
}

async function removeOtherVersions(name: string, folder: string): Promise<void> {
  const root = dirname(folder);
  const prefix = `${name.replace("/", "+")}@`;
  for (const entry of await readdir(root)) {
    if (entry.startsWith(prefix) && entry !== basename(folder)) await removeTree(join(root, entry));
  }
}

async function removeLeftovers(root: string): Promise<void> {
  for (const entry of await readdir(root)) {
    if (!entry.startsWith(TEMPORARY)) continue;
    const info = await stat(join(root, entry)).catch((error) => {
      if (errorCode(error) !== "ENOENT") throw error;
      return undefined;
    });
    if (info && (isAbandoned(entry) || Date.now() - info.mtimeMs > STALE_MILLISECONDS)) {
      await removeTree(join(root, entry));
    }
  }
}

/** Whether a temporary folder is of a process of this machine that has ended. */
function isAbandoned(entry: string): boolean {
  const id = entry.startsWith(own()) ? /^\d+(?=-)/.exec(entry.slice(own().length))?.[0] : undefined;
  if (id === undefined) return false;
  try {
    // Sends nothing: asks whether there is such a process.
    process.kill(Number(id), 0);
    return false;
  } catch (error) {
    return errorCode(error) === "ESRCH";
  }
}

async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 2 });
}
