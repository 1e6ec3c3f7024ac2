import { mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorCode } from "./cache_folder.ts";
import { makeFolder } from "./files.ts";
import { npmPack, type NpmPackOptions, type PackedTarball } from "./npm_pack.ts";

/** Options of {@linkcode downloadNpmTarball}. */
export interface NpmDownloadOptions extends NpmPackOptions {
  /** Looks at the tarball before it takes its place, and throws if it isn't what it should be. */
  check: (packed: PackedTarball) => Promise<void>;
}

const TEMPORARY = ".download-";
const STALE_MILLISECONDS = 24 * 60 * 60 * 1000;

/**
 * Has npm fetch one version of a package and moves its tarball to `path`, in the folder of that version. The download
 * lies in a temporary folder of its own until it is whole and checked. Other versions of the package are removed, and
 * so are temporary folders older than a day.
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
  const temporary = await mkdtemp(join(root, TEMPORARY));
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
    if (info && Date.now() - info.mtimeMs > STALE_MILLISECONDS) await removeTree(join(root, entry));
  }
}

async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 2 });
}
