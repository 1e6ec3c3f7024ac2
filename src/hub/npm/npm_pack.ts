import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { errorCode } from "../../data/files/error_code.ts";
import { CacheError, PackageUnavailableError } from "../errors.ts";
import { CorruptFileError } from "../../data/errors.ts";
import { checkNpmPackage } from "./npm_name.ts";
import { redact } from "../redact.ts";

/** Options of {@linkcode npmPack}. */
export interface NpmPackOptions {
  /** The npm to run, a program and its first arguments; by default the one that started this process, or `npm`. */
  npmCommand?: readonly string[];
  /** Called ten times a second with the number of bytes that have arrived. */
  onBytes?: (bytes: number) => void;
  /** Ends npm and rejects with its reason. */
  signal?: AbortSignal;
}

/** A tarball that npm has left. */
export interface PackedTarball {
  /** Its path. */
  readonly tarball: string;
  /** Its checksum as npm reports it, `sha512-` and base64; undefined if npm doesn't. */
  readonly integrity: string | undefined;
}

/** Most bytes that npm may fetch for a package, and that may be unpacked of one: 16 GiB. */
export const LARGEST_NPM_PACKAGE = 16 * 2 ** 30;

const OFFLINE_CODES = new Set([
  "ENOTFOUND",
  "EAI_AGAIN",
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "ETIMEDOUT",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "ENOTCACHED",
  "ERR_SOCKET_TIMEOUT",
  "FETCH_ERROR",
]);
const NOT_FOUND_CODES = new Set(["E404", "ETARGET", "ENOVERSIONS"]);
const CACHE_CODES = new Set(["ENOSPC", "EACCES", "EROFS", "EDQUOT"]);

/**
 * Has npm fetch the tarball of one version of a package into `folder`, without its dependencies and without running
 * any of its scripts. npm keeps quiet about bytes, so it is given a cache of its own inside `folder`, whose
 * growth is the progress. npm checks what it gets against the registry's checksum.
 *
 * @throws {TypeError} if the name is no package's or the version isn't exact: npm would read it as a folder or an option.
 * @throws {PackageUnavailableError} offline, no such version, no npm, or npm failed.
 * @throws {CorruptFileError} if npm found that what it got is not what the registry promised.
 * @throws {CacheError} if npm could not write.
 */
export async function npmPack(
  { name, version }: { readonly name: string; readonly version: string },
  folder: string,
  options: NpmPackOptions = {},
): Promise<PackedTarball> {
  checkNpmPackage({ name, version });
  const spec = `${name}@${version}`;
  const npmCache = join(folder, "npm-cache");
  const done = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, done.signal]) : done.signal;
  const packed = runNpm(spec, [`--cache=${npmCache}`, `--pack-destination=${folder}`], {
    ...options,
    signal,
  });
  let report: string;
  try {
    report = await Promise.race([packed, reportGrowth(spec, npmCache, { ...options, done: done.signal })]);
  } finally {
    done.abort();
    // npm must have ended before its files are removed; a failure here has already won the race, or follows from it.
    await packed.catch(() => {});
  }
  const tarballs = (await readdir(folder)).filter((name) => name.endsWith(".tgz"));
  if (tarballs.length !== 1) {
    throw new PackageUnavailableError(
      `Cannot download ${spec}: npm should have left 1 tarball, got ${tarballs.length}`,
      "npm",
    );
  }
  const integrity = /"integrity":\s*"(sha512-[^"]+)"/.exec(report)?.[1];
  return { tarball: join(folder, tarballs[0]!), integrity };
}

/** Gives the start of npm's report, which goes on with a list of all files. */
async function runNpm(spec: string, paths: readonly string[], options: NpmPackOptions): Promise<string> {
  const [program, ...first] = options.npmCommand ?? defaultNpmCommand();
  // Two quick retries: a user who is offline should not wait a minute for the message.
  const quick = ["--fetch-retries=2", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=3000"];
  const rest = [
    "pack",
    "--ignore-scripts",
    "--no-dry-run",
    "--json",
    "--loglevel=error",
    ...quick,
    ...paths,
    // What follows isn't an option, whatever it looks like.
    "--",
    spec,
  ];
  let report = "";
  let complaint = "";
  let status: number | NodeJS.Signals;
  options.signal?.throwIfAborted();
  try {
    const child = spawn(program!, [...first, ...rest], {
      stdio: ["ignore", "pipe", "pipe"],
      windowsHide: true,
    });
    const kill = () => void child.kill("SIGKILL");
    options.signal?.addEventListener("abort", kill, { once: true });
    process.once("exit", kill);
    child.once("close", () => {
      options.signal?.removeEventListener("abort", kill);
      process.off("exit", kill);
    });
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      report = (report + text).slice(0, 8000);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      complaint = (complaint + text).slice(-8000);
    });
    // Also after an interruption: what npm is still writing can't be removed.
    const [code, signal] = await once(child, "close") as [number | null, NodeJS.Signals];
    status = code ?? signal;
    options.signal?.throwIfAborted();
  } catch (cause) {
    options.signal?.throwIfAborted();
    throw new PackageUnavailableError(
      `Cannot download ${spec}: npm cannot be started (${
        errorCode(cause) ?? redact(String(cause))
      }); install Node's npm`,
      "npm",
      { cause },
    );
  }
  if (status !== 0) throw describeFailure(spec, status, complaint);
  return report;
}

function describeFailure(spec: string, status: number | NodeJS.Signals, complaint: string): Error {
  const code = /npm (?:error|ERR!) code (\S+)/.exec(complaint)?.[1] ?? "";
  if (OFFLINE_CODES.has(code)) {
    return new PackageUnavailableError(
      `Cannot download ${spec}: the npm registry does not answer (${code}); connect to the network and try again`,
      "offline",
    );
  }
  if (NOT_FOUND_CODES.has(code)) {
    return new PackageUnavailableError(
      `Cannot download ${spec}: the npm registry has no such version (${code})`,
      "not-found",
    );
  }
  if (code === "EINTEGRITY") {
    return new CorruptFileError(
      `Cannot download ${spec}: the bytes differ from the registry's checksum (${code})`,
    );
  }
  if (CACHE_CODES.has(code)) {
    return new CacheError(`Cannot download ${spec}: npm cannot write its files (${code})`);
  }
  const how = typeof status === "number" ? `npm ended with status ${status}` : `npm was ended by ${status}`;
  const detail = redact(complaint).trim().split("\n").slice(0, 5).join("; ");
  return new PackageUnavailableError(`Cannot download ${spec}: ${how}${detail && `: ${detail}`}`, "npm");
}

/** Windows' `npm` is a batch file, which Node refuses to start without a shell; its script can be run directly. */
function defaultNpmCommand(): string[] {
  const caller = process.env["npm_execpath"];
  if (caller && /npm-cli\.[cm]?js$/.test(caller)) return [process.execPath, caller];
  const bundled = join(dirname(process.execPath), "node_modules", "npm", "bin", "npm-cli.js");
  return process.platform === "win32" && existsSync(bundled) ? [process.execPath, bundled] : ["npm"];
}

/** Never resolves while npm runs: it can only fail, and ends with `done`. */
async function reportGrowth(
  spec: string,
  folder: string,
  { onBytes, done }: Pick<NpmPackOptions, "onBytes"> & { readonly done: AbortSignal },
): Promise<never> {
  let bytes = 0;
  while (!done.aborted) {
    await delay(100);
    // A file that npm is rewriting or moving is short or missing for a moment.
    bytes = Math.max(bytes, await folderSize(folder));
    if (bytes > LARGEST_NPM_PACKAGE) {
      throw new PackageUnavailableError(
        `Cannot download ${spec}: a package may have at most ${LARGEST_NPM_PACKAGE} bytes, and npm has fetched more`,
        "npm",
      );
    }
    if (!done.aborted) onBytes?.(bytes);
  }
  return await new Promise<never>(() => {});
}

/** Bytes of all files below a folder; files that come and go meanwhile count as nothing. */
async function folderSize(folder: string): Promise<number> {
  const sizes = await Promise.all(
    (await readdir(folder, { recursive: true, withFileTypes: true }).catch(noneIfGone))
      .filter((entry) => entry.isFile())
      .map((entry) => stat(join(entry.parentPath, entry.name)).then(({ size }) => size, zeroIfGone)),
  );
  return sizes.reduce((total, size) => total + size, 0);
}

function noneIfGone(error: unknown): [] {
  if (errorCode(error) === "ENOENT") return [];
  throw error;
}

function zeroIfGone(error: unknown): number {
  if (errorCode(error) === "ENOENT") return 0;
  throw error;
}
