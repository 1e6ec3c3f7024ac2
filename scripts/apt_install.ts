import { asRoot } from "./as_root.ts";

/** Options of {@linkcode aptInstall}. */
export interface AptInstallOptions {
  /** The release to take the packages from, such as `bookworm-backports`; apt's own choice by default. */
  readonly release?: string | null;
}

/**
 * Installs packages with apt-get, as root or through sudo.
 *
 * @throws {Error} apt-get failed; it has said why on standard error.
 */
export function aptInstall(packages: readonly string[], options: AptInstallOptions = {}): void {
  const { release = null } = options;
  // The update may fail on a foreign archive that has nothing to do with these packages: the installation decides.
  asRoot(["apt-get", "update", "-qq"]);
  const installed = asRoot([
    "env",
    "DEBIAN_FRONTEND=noninteractive",
    ...["apt-get", "install", "-y", "-qq", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"],
    ...release === null ? [] : ["-t", release],
    ...packages,
  ]);
  if (!installed) throw new Error(`Cannot install ${packages.join(" ")}: apt-get failed`);
}
