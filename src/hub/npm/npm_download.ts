import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { statIfPresent } from "../../data/files/absence.ts";
import { makeFolder } from "../../data/files/write_file.ts";
import { isAbandoned, withOwnName } from "../own_names.ts";
import { npmPack, type NpmPackOptions, type PackedTarball } from "./npm_pack.ts";

/** Options of {@linkcode downloadNpmTarball}. */
export interface NpmDownloadOptions extends NpmPackOptions {
  /** Checks the tarball before it is put in place; throws if it is wrong. */
  check: (packed: PackedTarball) => Promise<void>;
}

const TEMPORARY = ".download-";
const PATIENCE = 24 * 60 * 60 * 1000;

/**
 * Has npm fetch one version of a package and moves its tarball to `path`, in the folder of that version. The download
 * stays in a temporary folder of its own until it is whole and checked. Other versions of the package are removed, and
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
  await withOwnName(async (name) => {
    const temporary = join(root, `${TEMPORARY}${name}`);
    await mkdir(temporary);
    try {
      const packed = await npmPack(pkg, temporary, options);
      await options.check(packed);
      await makeFolder(folder);
      await rename(packed.tarball, path);
      await removeOtherVersions(pkg.name, folder);
    } finally {
      await removeTree(temporary);
    }
  });
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
    if (entry.startsWith(TEMPORARY)) await removeIfAbandoned(join(root, entry), PATIENCE);
  }
}

/** Removes a temporary folder that nobody works on any more. */
export async function removeIfAbandoned(path: string, patience: number): Promise<void> {
  const info = await statIfPresent(path);
  if (info && isAbandoned(basename(path), { modified: info.mtimeMs, patience })) await removeTree(path);
}

async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 2 });
}
