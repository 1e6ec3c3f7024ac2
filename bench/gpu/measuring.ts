import { spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Progress } from "./measure.ts";

const program = fileURLToPath(new URL("measure.ts", import.meta.url));
const register = new URL("../../scripts/register.mjs", import.meta.url).href;
/** Longest time from the start of the process to the ceilings, and from there or between stages to the next one. */
const startSeconds = 60;
/** A first import of PyTorch reads gigabytes. */
const torchSeconds = 120;

/** Options of {@linkcode measureStages}. */
export interface MeasureStagesOptions {
  readonly quick: boolean;
  /** Seconds that a stage may take, or 0 where no time is left for it; asked when the stage begins. */
  readonly secondsFor: (stage: string) => number;
  /** Called with each line of the process. */
  readonly onProgress: (progress: Progress) => Promise<void>;
}

/** Less isn't enough for any stage. */
const leastSeconds = 5;

/**
 * Runs stages in a process of their own. It is ended where a stage takes too long or a driver crashes, and another one goes on
 * with the next stage.
 */
export async function measureStages(names: readonly string[], options: MeasureStagesOptions): Promise<void> {
  for (let left = [...names]; left.length > 0;) {
    if (options.secondsFor(left[0]!) >= leastSeconds) {
      left = left.slice(await measureOnce(left, options));
    } else {
      await options.onProgress({ type: "end", stage: left.shift()!, error: noTime });
    }
  }
}

/** What is said of a stage that time was too short for. */
export const noTime = "no time was left";

/** Starts a process without stages: it reports what there is. */
export async function probe(options: MeasureStagesOptions): Promise<void> {
  await measureOnce([], options);
}

/** Runs stages until one fails to end; returns how many are done with, that one among them. */
async function measureOnce(names: readonly string[], options: MeasureStagesOptions): Promise<number> {
  const { quick, secondsFor, onProgress } = options;
  const child = spawn(process.execPath, [
    "--import",
    register,
    program,
    ...quick ? ["--quick"] : [],
    ...names,
  ], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => printed = (printed + text).slice(-4000));
  const end = () => child.kill("SIGKILL");
  process.on("exit", end);
  const ended = new Promise<string>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  let [done, current, limit]: [number, string | undefined, number] = [0, undefined, startSeconds];
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const restartTimer = (seconds: number) => {
    clearTimeout(timer);
    limit = seconds;
    timer = setTimeout(() => {
      isOver = true;
      end();
    }, 1000 * seconds);
  };
  restartTimer(startSeconds);
  for await (const line of createInterface({ input: child.stdout })) {
    const progress = JSON.parse(line) as Progress;
    if (progress.type === "ready") {
      restartTimer(torchSeconds);
    } else if (progress.type === "start") {
      current = progress.stage;
      restartTimer(Math.max(leastSeconds, secondsFor(current)));
    } else if (progress.type === "end") {
      current = undefined;
      done++;
      restartTimer(startSeconds);
    }
    await onProgress(progress);
  }
  clearTimeout(timer);
  const ending = await ended;
  process.off("exit", end);
  if (ending === "exit code 0") return names.length;
  const failed = current ?? names[done];
  const last = printed.trim().split("\n").slice(-8).join("\n");
  const error = isOver
    ? current === undefined
      ? `no stage began within ${limit} s`
      : `stopped: its ${limit.toFixed(0)} s are over`
    : `the process ended with ${ending}${last && `:\n${last}`}`;
  await onProgress({ type: "end", stage: failed ?? (names.length === 0 ? "start" : "exit"), error });
  return done + 1;
}
