import { existsSync } from "node:fs";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { unpackTar } from "modern-tar";
import { cacheFolder } from "../src/hub/cache_folder.ts";
import {
  type NpmPackage,
  npmPackageFolder,
  type NpmPackageOptions,
  readNpmPackage,
} from "../src/hub/npm/npm_package.ts";

/** A package that carries SwiftShader for Linux on x64, built for a browser without a GPU. */
const PACKAGE: NpmPackage = {
  name: "@sparticuz/chromium",
  version: "153.0.0",
  integrity:
    "sha512-jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA==",
  size: 69_995_309,
};
const ARCHIVE = "bin/swiftshader.tar.br";
const DRIVER = "vk_swiftshader_icd.json";
const FILES = [DRIVER, "libvk_swiftshader.so", "libvulkan.so.1"];

/** The folder of the unpacked driver, whether or not it is there yet. */
export function swiftshaderFolder(cache: string = cacheFolder()): string {
  return join(cache, `swiftshader-${PACKAGE.version}`);
}

/**
 * The variables under which a new process finds the driver in `folder`. They must be set before it starts: the
 * dynamic linker reads `LD_LIBRARY_PATH` once.
 */
export function swiftshaderEnvironment(folder: string, inherited: NodeJS.ProcessEnv): Record<string, string> {
  const driver = join(folder, DRIVER);
  const libraries = inherited["LD_LIBRARY_PATH"];
  return {
    VK_ICD_FILENAMES: driver,
    VK_DRIVER_FILES: driver,
    LD_LIBRARY_PATH: libraries ? `${folder}:${libraries}` : folder,
  };
}

/**
 * Fetches SwiftShader and moves it into the user cache in one rename, so that an interrupted run or a second process
 * leaves either nothing or the whole. Gives {@link swiftshaderFolder}.
 *
 * @throws as `readNpmPackage`.
 */
export async function installSwiftshader(options: NpmPackageOptions = {}): Promise<string> {
  const cache = options.cacheFolder ?? cacheFolder();
  const folder = swiftshaderFolder(cache);
  if (existsSync(folder)) return folder;
  const archive = (await readNpmPackage(PACKAGE, (path) => path === ARCHIVE, options)).get(ARCHIVE);
  if (archive === undefined) {
    throw new RangeError(`Cannot find SwiftShader: no ${ARCHIVE} in ${PACKAGE.name}`);
  }
  const entries = await unpackTar(brotliDecompressSync(archive), {
    filter: ({ name }) => FILES.includes(name),
  });
  const draft = await mkdtemp(`${folder}.tmp-`);
  try {
    for (const { header, data } of entries) await writeFile(join(draft, header.name), data ?? "");
    await rename(draft, folder);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Where another process put the same driver there first, it serves as well.
    if (!existsSync(folder)) throw error;
  }
  // 70 MB that hold nothing else of use.
  await rm(npmPackageFolder(PACKAGE, cache), { recursive: true, force: true });
  return folder;
}
