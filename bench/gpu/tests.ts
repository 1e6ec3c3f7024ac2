import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** How a test file ended. */
export interface TestFile {
  readonly file: string;
  readonly seconds: number;
  /** `died` where the process ended otherwise than by a failing test; `not run` and `stopped` where time ran out. */
  readonly outcome: "passed" | "failed" | "died" | "hung" | "stopped" | "not run";
  readonly passed: number;
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
  readonly failures: readonly { readonly name: string; readonly error: string }[];
}

/** Options of {@linkcode runTestFiles}. */
export interface RunTestFilesOptions {
  /** For all of them. */
  readonly seconds: number;
  /** For one. */
  readonly fileSeconds: number;
  /** Files at a time. */
  readonly concurrency: number;
  /** Called whenever a file has ended. */
  readonly onFile?: (file: TestFile) => void;
}

interface Outcome {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly reason?: string;
  readonly error?: string;
}

/** Folders of test/ whose tests say most of an adapter, first. */
const folders = ["engine", "models", "tasks", "federa", "fl", "experiment", "cli"];
const register = new URL("../../scripts/register.mjs", import.meta.url).href;
const reporter = new URL("_line_reporter.mjs", import.meta.url).href;

/** Test files in the order in which they should run where time may not last for all. */
export function byWorth(files: readonly string[]): string[] {
  const worth = (file: string) => {
    const place = folders.findIndex((folder) => file.startsWith(join("test", folder)));
    return place < 0 ? folders.length : place;
  };
  return [...files].sort((a, b) => worth(a) - worth(b) || (a < b ? -1 : 1));
}

/**
 * Files at a time: three of four cores where the adapter isn't the processor itself, so that every file has room for its
 * driver's threads; else as many as `npm test` runs.
 */
export function concurrencyFor(adapterClass: "cpu" | "gpu"): number {
  const cores = availableParallelism();
  return adapterClass === "gpu" ? Math.max(2, Math.floor(3 * cores / 4)) : Math.min(4, Math.max(2, cores));
}

/** Runs test files, each a process of its own; one that hangs is ended together with what it has started. */
export async function runTestFiles(
  files: readonly string[],
  options: RunTestFilesOptions,
): Promise<TestFile[]> {
  const deadline = performance.now() + 1000 * options.seconds;
  const folder = await mkdtemp(join(tmpdir(), "federa-tests-"));
  const results: TestFile[] = [];
  const left = [...files];
  const work = async () => {
    for (let file = left.shift(); file !== undefined; file = left.shift()) {
      const result = await runFile(file, { ...options, deadline, report: join(folder, `${left.length}`) });
      results.push(result);
      options.onFile?.(result);
    }
  };
  try {
    await Promise.all(Array.from({ length: options.concurrency }, work));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return results;
}

async function runFile(
  file: string,
  { deadline, fileSeconds, report }: RunTestFilesOptions & { deadline: number; report: string },
): Promise<TestFile> {
  const start = performance.now();
  const remaining = deadline - start;
  if (remaining <= 0) {
    return { file, seconds: 0, outcome: "not run", passed: 0, skipped: [], failures: [] };
  }
  const reporting = [`--test-reporter=${reporter}`, `--test-reporter-destination=${report}`];
  // Set where a test runs this: its own reporter would then be ignored.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(process.execPath, ["--import", register, ...reporting, file], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
    // The leader of a group, which ends with it.
    detached: true,
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => printed = (printed + text).slice(-2000));
  }
  const end = () => endGroup(child);
  process.on("exit", end);
  const ownMilliseconds = 1000 * fileSeconds;
  let stopped: "hung" | "stopped" | undefined;
  const timer = setTimeout(() => {
    stopped = ownMilliseconds <= remaining ? "hung" : "stopped";
    end();
  }, Math.min(ownMilliseconds, remaining));
  const ending = await new Promise<string>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  clearTimeout(timer);
  process.off("exit", end);
  const tests = await readOutcomes(report);
  const failures = tests.flatMap(({ name, outcome, error = "" }) =>
    outcome === "failed" ? [{ name, error }] : []
  );
  const isGood = ending === "exit code 0" && failures.length === 0;
  const outcome = stopped ?? (isGood ? "passed" : failures.length > 0 ? "failed" : "died");
  if (outcome === "died" || outcome === "hung") {
    failures.push({
      name: outcome === "hung" ? `no end after ${fileSeconds} s` : ending,
      error: printed.trim(),
    });
  }
  return {
    file,
    seconds: (performance.now() - start) / 1000,
    outcome,
    passed: tests.filter((each) => each.outcome === "passed").length,
    skipped: tests.flatMap(({ name, outcome, reason = "" }) =>
      outcome === "skipped" ? [{ name, reason }] : []
    ),
    failures,
  };
}

async function readOutcomes(path: string): Promise<Outcome[]> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    // A process that died early has written nothing.
    if (error.code === "ENOENT") return "";
    throw error;
  });
  // The last line of a file that was stopped may be a part of one.
  return text.split("\n").slice(0, -1).map((line) => JSON.parse(line) as Outcome);
}

function endGroup(leader: ChildProcess): void {
  if (leader.pid === undefined) return;
  try {
    if (process.platform === "win32") leader.kill("SIGKILL");
    else process.kill(-leader.pid, "SIGKILL");
  } catch (error) {
    // It has ended meanwhile.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
