import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { aptInstall } from "./apt_install.ts";
import { type AptSource, parseAptSources } from "./apt_sources.ts";
import { asRoot, probePrivilege, succeeds } from "./as_root.ts";
import { type Machine, type Plan, planGpuSetup } from "./gpu_plan.ts";
import { readRelease } from "./read_release.ts";
import { installSwiftshader, swiftshaderEnvironment, swiftshaderFolder } from "./swiftshader.ts";

const PROBE = fileURLToPath(new URL("probe_adapter.mjs", import.meta.url));
const APT_FOLDER = "/etc/apt";
const BACKPORTS_FILE = "/etc/apt/sources.list.d/federa-backports.sources";

/** Options of {@link setUpGpu}. */
export interface SetUpGpuOptions {
  /** Use SwiftShader even where another adapter works. */
  swiftshader?: boolean;
  /** Receives one line for everything that is done; nothing is said where an adapter exists. */
  report?: (line: string) => void;
}

/**
 * Makes sure that a new process of this machine finds a WebGPU adapter, installing a software driver where it has
 * none, and gives the environment variables to start that process with.
 *
 * @throws {Error} There is no adapter and no way to install one; the message says what a person can do.
 */
export async function setUpGpu(options: SetUpGpuOptions = {}): Promise<Record<string, string>> {
  const { swiftshader = false, report = () => {} } = options;
  if (!swiftshader && hasAdapter({})) return {};
  const plans = planGpuSetup(probeMachine());
  if (swiftshader || existsSync(swiftshaderFolder())) plans.unshift({ kind: "swiftshader" });
  for (const plan of plans) {
    if (plan.kind === "refuse") throw new Error(plan.message);
    try {
      const environment = plan.kind === "apt"
        ? await installMesa(plan, report)
        : await useSwiftshader(report);
      if (hasAdapter(environment)) return environment;
      report(`No adapter after the set-up with ${plan.kind}`);
    } catch (error) {
      report(error instanceof Error ? error.message : String(error));
    }
  }
  throw new RangeError("Cannot set up a GPU: the list of plans ended without a message");
}

function hasAdapter(environment: Record<string, string>): boolean {
  const env = { ...process.env, ...environment };
  return spawnSync(process.execPath, [PROBE], { env, stdio: "ignore", timeout: 60_000 }).status === 0;
}

async function useSwiftshader(report: (line: string) => void): Promise<Record<string, string>> {
  if (!existsSync(swiftshaderFolder())) {
    report("Fetching SwiftShader, a software Vulkan driver, from npm (70 MB)");
  }
  const folder = await installSwiftshader();
  report("Running on SwiftShader, about 5 times slower than Mesa's software driver");
  return swiftshaderEnvironment(folder, process.env);
}

async function installMesa(
  plan: Extract<Plan, { kind: "apt" }>,
  report: (line: string) => void,
): Promise<Record<string, string>> {
  report(`Installing ${plan.packages.join(" and ")} with apt-get, because no WebGPU adapter was found`);
  // Ctrl-C ends apt-get, which shares the terminal; this process must live on to take its sources file back.
  const stayAlive = () => {};
  process.on("SIGINT", stayAlive);
  try {
    if (plan.backports !== null) await writeAptFile(BACKPORTS_FILE, plan.backports);
    aptInstall(plan.packages, { release: plan.release });
  } catch (error) {
    if (plan.backports !== null) asRoot(["rm", "-f", BACKPORTS_FILE]);
    throw error;
  } finally {
    process.off("SIGINT", stayAlive);
  }
  return {};
}

/** Writes a file that only root may write; apt ignores the temporary name because of its ending. */
async function writeAptFile(path: string, text: string): Promise<void> {
  const workspace = await mkdtemp(join(tmpdir(), "federa-apt-"));
  try {
    const draft = join(workspace, "entry");
    await writeFile(draft, text);
    const written = asRoot(["install", "-m", "0644", draft, `${path}.new`]) &&
      asRoot(["mv", `${path}.new`, path]);
    if (!written) throw new Error(`Cannot write ${path}: the copy as root failed`);
  } finally {
    await rm(workspace, { recursive: true, force: true });
  }
}

function probeMachine(): Machine {
  const { platform, arch } = process;
  if (platform !== "linux") return { platform, arch, os: {}, privilege: "none", apt: false, sources: [] };
  const release = readRelease();
  return {
    platform,
    arch,
    os: { id: release["ID"], idLike: release["ID_LIKE"], codename: release["VERSION_CODENAME"] },
    privilege: probePrivilege(),
    apt: succeeds("apt-get", ["--version"]),
    sources: readAptSources(),
  };
}

function readAptSources(): AptSource[] {
  const parts = join(APT_FOLDER, "sources.list.d");
  const files = existsSync(parts) ? readdirSync(parts).map((name) => join(parts, name)) : [];
  return [join(APT_FOLDER, "sources.list"), ...files.sort()]
    .filter((path) => /\.(list|sources)$/.test(path) && existsSync(path))
    .flatMap((path) => parseAptSources(path, readFileSync(path, "utf8")));
}
