import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { aptInstall } from "./apt_install.ts";
import { probePrivilege, succeeds } from "./as_root.ts";
import { readRelease } from "./read_release.ts";

/** Options of {@linkcode setUpBrowser}. */
export interface SetUpBrowserOptions {
  /** Receives one line when something is installed. */
  readonly report?: (line: string) => void;
}

/** Names of Chromium and its like, in the order in which they are taken. */
const COMMANDS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
/** Where they are installed on systems that don't put them on the path. */
const PLACES = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
  "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe",
];
const PROBLEM = "Cannot find Chromium";
const ADVICE = "install Chromium or Chrome, or name its program in CHROME_PATH";

/**
 * Path of a Chromium for the tests in a browser: that of `CHROME_PATH`, or one that is installed; on Debian, where there is
 * none, its package is installed with apt-get.
 *
 * @throws {Error} There is none and no way to install one; the message says what a person can do.
 */
export function setUpBrowser(options: SetUpBrowserOptions = {}): string {
  const named = process.env["CHROME_PATH"];
  if (named) {
    if (existsSync(named)) return named;
    throw new Error(`${PROBLEM}: CHROME_PATH names ${JSON.stringify(named)}, which doesn't exist`);
  }
  const found = findBrowser();
  if (found !== undefined) return found;
  // Ubuntu's package of that name only fetches a snap, which doesn't run in containers.
  if (readRelease()["ID"] !== "debian" || !succeeds("apt-get", ["--version"])) {
    throw new Error(`${PROBLEM}: ${ADVICE}`);
  }
  if (probePrivilege() === "none") throw new Error(`${PROBLEM}: as root run: apt-get install chromium`);
  options.report?.("Installing chromium with apt-get, because no browser was found");
  aptInstall(["chromium"]);
  const installed = findBrowser();
  if (installed !== undefined) return installed;
  throw new Error(`${PROBLEM}: apt-get installed its package, but there is no such program; ${ADVICE}`);
}

function findBrowser(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const paths = COMMANDS.flatMap((command) => folders.map((folder) => join(folder, command)));
  return [...paths, ...PLACES].find((path) => existsSync(path));
}

if (process.argv[1] === import.meta.filename) {
  try {
    console.log(setUpBrowser({ report: (line) => console.error(line) }));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}
