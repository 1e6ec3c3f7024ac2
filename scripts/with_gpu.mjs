// Runs `node ARGUMENTS...` under a working WebGPU adapter, setting one up first where the machine has none:
//   node scripts/with_gpu.mjs [--swiftshader] [--pretend-gpu] FILE.ts [ARGUMENTS...]
// With --pretend-gpu the adapter passes for a graphics processor (pretended_gpu.mjs), so that its kernels run.
import "./register.mjs";
import { spawn } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";

const { setUpGpu } = await import("./setup_gpu.ts");

const args = process.argv.slice(2);
const taken = (option) => args[0] === option && args.shift() !== undefined;
const swiftshader = taken("--swiftshader");
const pretendGpu = taken("--pretend-gpu");

let environment;
try {
  environment = await setUpGpu({ swiftshader, report: (line) => console.error(line) });
} catch (error) {
  console.error(error.message);
  process.exit(1);
}

const register = new URL("register.mjs", import.meta.url).href;
const child = spawn(process.execPath, ["--import", register, ...args], {
  env: { ...process.env, ...environment, ...(pretendGpu && { FEDERA_PRETEND_GPU: "1" }) },
  stdio: "inherit",
});
// The child decides how to end, and this process waits for it. A terminal sends Ctrl-C to both: the child takes two
// that come at once for one.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
process.on("exit", () => child.kill());
child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
