// Runs `node ARGUMENTS...` under a working WebGPU adapter, setting one up first where the machine has none:
//   node scripts/with_gpu.mjs [--swiftshader] FILE.ts [ARGUMENTS...]
import "./register.mjs";
import { spawn } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";

const { setUpGpu } = await import("./setup_gpu.ts");

const args = process.argv.slice(2);
const swiftshader = args[0] === "--swiftshader";
if (swiftshader) args.shift();

let environment;
try {
  environment = await setUpGpu({ swiftshader, report: (line) => console.error(line) });
} catch (error) {
  console.error(error.message);
  process.exit(1);
}

const register = new URL("register.mjs", import.meta.url).href;
const child = spawn(process.execPath, ["--import", register, ...args], {
  env: { ...process.env, ...environment },
  stdio: "inherit",
});
// The child decides how to end, and this process waits for it. A terminal sends Ctrl-C to both: the child takes two
// that come at once for one.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
process.on("exit", () => child.kill());
child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
