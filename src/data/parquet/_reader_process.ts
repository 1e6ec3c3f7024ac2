import { type ChildProcess, spawn } from "node:child_process";
import { on, once } from "node:events";
import process from "node:process";
import { DataLimitError } from "../errors.ts";
import { TOO_MUCH_MEMORY } from "./_budget.ts";
import type { ReadEnd, ReadMessage, ReadRequest } from "./_messages.ts";

const PROGRAM = "import(process.argv[1]).then(({ serve }) => serve());";

/** A process that waits for the next file, for so many milliseconds. */
let idle: ChildProcess | undefined;
const PATIENCE = 5000;

/**
 * Lets a process of its own read a Parquet file. A few bytes can make a reader take all memory, or run for hours: the
 * process is ended then, and this one goes on. A thread would not do, as V8 ends the whole process when a thread asks
 * for a large array that it has no memory for.
 *
 * @throws {DataLimitError} if the process took more memory or time than it may.
 * @throws {Error} with the reader's words if the file can't be read; with a `code`, if the file system refuses.
 */
export async function* readInProcess(
  request: ReadRequest,
  signal: AbortSignal | undefined,
): AsyncGenerator<ReadMessage> {
  const child = idle ?? await start();
  idle = undefined;
  hold(child, true);
  let isDone = false;
  try {
    child.send(request);
    // A process that is ended closes its channel after its last message.
    const messages = on(child, "message", { ...(signal && { signal }), close: ["disconnect"] });
    for await (const [message] of messages as AsyncIterable<[ReadMessage | ReadEnd]>) {
      if (message.kind === "failed") {
        isDone = true;
        throw failure(message);
      }
      if (message.kind === "done") {
        isDone = message.fresh;
        return;
      }
      yield message;
    }
    throw await causeOfDeath(child);
  } finally {
    if (isDone && idle === undefined) {
      hold(child, false);
      idle = child;
      setTimeout(() => {
        if (idle !== child) return;
        idle = undefined;
        child.disconnect();
      }, PATIENCE).unref();
    } else child.kill("SIGKILL");
  }
}

/** Starts a process, which ends when this one does. */
async function start(): Promise<ChildProcess> {
  const { moduleUrl } = await import("./_serve.ts");
  // The sources, other than the bundle, need what lets this process import them.
  const flags = moduleUrl.endsWith(".ts") ? importFlags(process.execArgv) : [];
  const child = spawn(process.execPath, [...flags, "--input-type=module", "--eval", PROGRAM, moduleUrl], {
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    windowsHide: true,
  });
  let words = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => words = (words + text).slice(-4000));
  const ended = once(child, "exit").then(([code, signal]) => {
    throw new Error(`the reader process ended early (${signal ?? code}): ${words.trim()}`);
  });
  ended.catch(() => {});
  await Promise.race([once(child, "message"), ended]);
  child.on("exit", () => {
    if (idle === child) idle = undefined;
  });
  return child;
}

function importFlags(flags: readonly string[]): string[] {
  return flags.flatMap((flag, i) => {
    if (flag.startsWith("--import=")) return [flag];
    return flag === "--import" ? [flag, flags[i + 1]!] : [];
  });
}

/** Whether this process stays alive for a reader. */
function hold(child: ChildProcess, isHeld: boolean): void {
  for (const handle of [child, child.channel, child.stderr as unknown as NodeJS.RefCounted]) {
    if (isHeld) handle?.ref();
    else handle?.unref();
  }
}

function failure({ message, isLimit, code }: ReadEnd & { kind: "failed" }): Error {
  if (code !== undefined) return Object.assign(new Error(message), { code, syscall: "read" });
  return isLimit ? new DataLimitError(message) : new Error(message);
}

async function causeOfDeath(child: ChildProcess): Promise<Error> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return new DataLimitError(
    child.signalCode === "SIGTERM" ? "reading it takes longer than its size allows" : TOO_MUCH_MEMORY,
  );
}
