import type { AptSource } from "./apt_sources.ts";
import { backportsEntry } from "./apt_sources.ts";
import type { Privilege } from "./as_root.ts";

/** What the choice of a set-up depends on, as probed on the machine. */
export interface Machine {
  /** `process.platform` and `process.arch`. */
  platform: string;
  arch: string;
  /** Fields of os-release; empty where there is none. */
  os: { id?: string | undefined; idLike?: string | undefined; codename?: string | undefined };
  /** How commands run as root. */
  privilege: Privilege;
  /** Whether apt-get is there. */
  apt: boolean;
  /** The machine's apt archives. */
  sources: AptSource[];
}

/** What to do on a machine without an adapter. */
export type Plan =
  | { kind: "apt"; packages: string[]; release: string | null; backports: string | null }
  | { kind: "swiftshader" }
  | { kind: "refuse"; message: string };

const APT_PACKAGES = ["libvulkan1", "mesa-vulkan-drivers"];

/** Debian releases whose own Mesa is refused by Dawn (22.3.6 in Debian 12) and whose backports have a newer one. */
const RELEASES_WITH_OLD_MESA = ["bookworm"];

/**
 * Gives the ways to an adapter on this machine, best first: Mesa from apt, SwiftShader from npm, and at the end
 * always the message that says what a person can do.
 */
export function planGpuSetup(machine: Machine): Plan[] {
  const plans: Plan[] = [];
  if (machine.platform === "linux" && machine.apt && isDebianLike(machine) && machine.privilege !== "none") {
    const plan = planApt(machine);
    if (plan !== null) plans.push(plan);
  }
  if (machine.platform === "linux" && machine.arch === "x64") plans.push({ kind: "swiftshader" });
  plans.push({ kind: "refuse", message: instructions(machine) });
  return plans;
}

function planApt({ os, sources }: Machine): Plan | null {
  const codename = os.codename ?? "";
  if (os.id !== "debian" || !RELEASES_WITH_OLD_MESA.includes(codename)) {
    return { kind: "apt", packages: APT_PACKAGES, release: null, backports: null };
  }
  const hasMirror = sources.some(({ suites }) =>
    suites.includes(codename) || suites.includes(`${codename}-backports`)
  );
  if (!hasMirror) return null;
  return {
    kind: "apt",
    packages: APT_PACKAGES,
    release: `${codename}-backports`,
    backports: backportsEntry(sources, codename),
  };
}

function isDebianLike({ os }: Machine): boolean {
  return [os.id ?? "", ...(os.idLike ?? "").split(" ")].some((id) => id === "debian" || id === "ubuntu");
}

function instructions(machine: Machine): string {
  const problem = "Cannot find a WebGPU adapter";
  switch (machine.platform) {
    case "darwin":
      return `${problem}: on macOS it comes with Metal, so run on a Mac with Metal support, outside a virtual machine`;
    case "win32":
      return `${problem}: on Windows it comes with Direct3D 12, so install the current driver of the graphics card's manufacturer`;
    case "linux":
      break;
    default:
      return `${problem}: the webgpu package runs on Linux, macOS and Windows, not on ${machine.platform}`;
  }
  const packages = isDebianLike(machine)
    ? `as root run: apt-get install ${APT_PACKAGES.join(" ")}` +
      (RELEASES_WITH_OLD_MESA.includes(machine.os.codename ?? "")
        ? ` -t ${machine.os.codename}-backports (after adding that suite to the apt sources)`
        : "")
    : "install the Vulkan loader and Mesa's Vulkan drivers (Fedora: vulkan-loader mesa-vulkan-drivers; " +
      "Arch: vulkan-icd-loader vulkan-swrast; openSUSE: libvulkan1 libvulkan_lvp)";
  return `${problem}: ${packages}`;
}
