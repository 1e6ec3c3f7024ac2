import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { readRelease } from "../../scripts/read_release.ts";

const script = fileURLToPath(new URL("../../scripts/setup_browser.ts", import.meta.url));
const register = new URL("../../scripts/register.mjs", import.meta.url).href;
const folder = await mkdtemp(join(tmpdir(), "federa-browser-"));
after(() => rm(folder, { recursive: true }));

/** Runs the set-up where these programs alone are on the path. */
function setUp(env: Record<string, string> = {}) {
  return spawnSync(process.execPath, ["--import", register, script], {
    env: { PATH: folder, ...env },
    encoding: "utf8",
  });
}

async function program(name: string, lines: string): Promise<void> {
  await writeFile(join(folder, name), `#!/bin/sh\n${lines}\n`);
  await chmod(join(folder, name), 0o755);
}

test("setUpBrowser() takes the program that CHROME_PATH names, and refuses one that doesn't exist", () => {
  assert.equal(setUp({ CHROME_PATH: process.execPath }).stdout, `${process.execPath}\n`);
  const { status, stderr } = setUp({ CHROME_PATH: "/no/such/chrome" });
  assert.equal(status, 1);
  assert.equal(stderr, `Cannot find Chromium: CHROME_PATH names "/no/such/chrome", which doesn't exist\n`);
});

test("setUpBrowser() takes an installed browser and installs nothing then", async () => {
  await program("apt-get", "exit 9");
  await program("google-chrome", "");
  await program("chromium-browser", "");
  assert.deepEqual(setUp().stdout, `${join(folder, "chromium-browser")}\n`);
  for (const name of ["apt-get", "google-chrome", "chromium-browser"]) await rm(join(folder, name));
});

const isDebian = process.platform === "linux" && readRelease()["ID"] === "debian";
test("setUpBrowser() installs chromium with apt-get on Debian", {
  skip: isDebian && process.getuid?.() === 0 ? false : "takes root on Debian",
}, async () => {
  for (const name of ["env", "sh"]) await symlink(join("/usr/bin", name), join(folder, name));
  const log = join(folder, "log");
  await program(
    "apt-get",
    `echo "$*" >> ${log}; case "$1" in install) echo made; printf '' > ${join(folder, "chromium")};; esac`,
  );
  const { status, stdout, stderr } = setUp();
  assert.equal(stderr, "Installing chromium with apt-get, because no browser was found\nmade\n");
  assert.equal(stdout, `${join(folder, "chromium")}\n`);
  assert.equal(status, 0);
  assert.deepEqual((await readFile(log, "utf8")).trim().split("\n"), [
    "--version",
    "update -qq",
    "install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 chromium",
  ]);
  await rm(join(folder, "chromium"));
  await program("apt-get", `case "$1" in install) exit 100;; esac`);
  const failed = setUp();
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /Cannot install chromium: apt-get failed\n$/);
});

test("readRelease() reads quoted and plain fields", async () => {
  const path = join(folder, "os-release");
  await writeFile(path, `ID=debian\nVERSION_ID="12"\n# no\nPRETTY_NAME="Debian GNU/Linux"\n`);
  assert.deepEqual(readRelease(path), { ID: "debian", VERSION_ID: "12", PRETTY_NAME: "Debian GNU/Linux" });
  assert.deepEqual(readRelease(join(folder, "absent")), {});
});
