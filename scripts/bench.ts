import { spawnSync, type SpawnSyncOptions } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const FOLDER = new URL("../bench/", import.meta.url);

// The peers are installed on the first run only, into a folder of their own: no user of the library pays for them.
// npm writes the hidden lock file last, so a broken-off installation is done again.
if (!existsSync(new URL("node_modules/.package-lock.json", FOLDER))) {
  const options: SpawnSyncOptions = {
    cwd: fileURLToPath(FOLDER),
    shell: process.platform === "win32",
    // Standard output belongs to the results.
    stdio: ["inherit", 2, 2],
  };
  const { status } = spawnSync("npm", ["ci"], options);
  if (status !== 0) {
    console.error(
      `Cannot install the benchmark peers: npm ci in bench ended with exit code ${status}; going on without them`,
    );
  }
}
await import(new URL("run.ts", FOLDER).href);
