import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { denoEnvironment, denoPath } from "./deno_command.ts";
import { testFiles } from "./test_files.ts";

/** Longest time for one test file, in milliseconds. */
const TIMEOUT = 600_000;
const ENTRY = fileURLToPath(new URL("deno_test_file.mjs", import.meta.url));

/**
 * Runs test files on Deno and its own WebGPU: those whose path contains one of the command line's words, or the engine's.
 *
 * A readback waits for at least 10 ms there, so twice as many files run at once as there are cores.
 */
const words = process.argv.slice(2);
const files = testFiles(words.length > 0 ? words : [join("test", "engine")]);
if (files.length === 0) {
  console.error(`Cannot run the tests: no file test/**/*_test.ts matches ${JSON.stringify(words)}`);
  process.exit(1);
}

const totals = { passed: 0, failed: 0, skipped: 0 };
const brokenFiles: string[] = [];
const queue = [...files];
await Promise.all(Array.from({ length: 2 * availableParallelism() }, async () => {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) await report(file);
}));
console.log(
  `${files.length} files on Deno: ${totals.passed} tests passed, ${totals.failed} failed, ${totals.skipped} skipped`,
);
for (const file of brokenFiles) console.log(`failed: ${file}`);
process.exit(brokenFiles.length === 0 ? 0 : 1);

async function report(file: string): Promise<void> {
  const start = performance.now();
  const { code, output } = await runFile(file);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const [, summary = ""] = /^(?:ok|FAILED) \| (.*) \(/m.exec(output) ?? [];
  const count = (what: string) => Number(new RegExp(`(\\d+) ${what}`).exec(summary)?.[1] ?? 0);
  totals.passed += count("passed");
  totals.failed += count("failed");
  totals.skipped += count("ignored");
  // A file in which nothing ran has not passed: a crash says nothing at all.
  const isFine = code === 0 && count("passed") + count("ignored") > 0;
  if (!isFine) {
    brokenFiles.push(file);
    console.log(output);
  }
  console.log(`${isFine ? "ok" : "FAILED"} ${file}: ${summary || `ended with ${code}`} (${seconds} s)`);
}

function runFile(file: string): Promise<{ code: number | string; output: string }> {
  const child = spawn(denoPath, ["test", "--quiet", "--no-check", "-A", ENTRY, "--", file], {
    env: { ...process.env, ...denoEnvironment },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: TIMEOUT,
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => output += text);
  }
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code: code ?? signal ?? "nothing", output }));
  });
}
