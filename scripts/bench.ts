import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";

/** The benchmarks' peers are installed on the first run only, into a folder of their own: no user pays for them. */
if (!existsSync("bench/node_modules")) {
  const { status } = spawnSync("npm", ["ci", "--prefix", "bench"], { stdio: "inherit" });
  if (status !== 0) {
    console.error(`Cannot install the benchmark peers: npm ci --prefix bench ended with ${status}`);
    process.exit(1);
  }
}
const suite = "../bench/run.ts";
await import(suite);
