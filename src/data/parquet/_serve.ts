import process from "node:process";
import { Worker } from "node:worker_threads";
import { DataLimitError } from "../errors.ts";
import { errorCode } from "../files/error_code.ts";
import { Budget } from "./_budget.ts";
import type { ReadEnd, ReadMessage, ReadRequest } from "./_messages.ts";

/** This module, for a process to import; in a bundle it is wherever the bundler puts it. */
export const moduleUrl = import.meta.url;

/**
 * Ends the process when it takes more memory or processor time than it may, whatever its main thread is doing. A limit
 * of the heap would not do: it leaves out array buffers.
 */
const WATCHDOG = `
const process = require("node:process");
const { workerData: limits } = require("node:worker_threads");
setInterval(() => {
  if (process.memoryUsage.rss() > limits[0]) process.kill(process.pid, "SIGKILL");
  const { user, system } = process.cpuUsage();
  if (user + system > limits[1]) process.kill(process.pid, "SIGTERM");
}, 10);`;

/** Memory, beside four times maxBytes, and microseconds of processor time that reading a file may take. */
const [LEAST_MEMORY, LEAST_TIME] = [256 << 20, 2_000_000];
/** Microseconds for each byte that is unpacked or held: five megabytes a second. */
const TIME_PER_BYTE = 0.2;
/** Memory above which the process isn't used for another file. */
const MOST_KEPT = 256 << 20;

/** The program of a reader process: answers the requests of its parent, one after the other, for as long as that lives. */
export async function serve(): Promise<void> {
  // Loaded here, so that the parent, too, can import this module for its address.
  const { readFile } = await import("./_read_file.ts");
  const limits = new Float64Array(new SharedArrayBuffer(16)).fill(Infinity);
  new Worker(WATCHDOG, { eval: true, execArgv: [], workerData: limits }).unref();
  process.on("disconnect", () => process.exit());
  // Ctrl-C reaches all processes of a terminal; the parent decides what it means.
  process.on("SIGINT", () => {});
  process.on("message", async (request: ReadRequest) => {
    const { user, system } = process.cpuUsage();
    limits[0] = process.memoryUsage.rss() + LEAST_MEMORY + 4 * request.maxBytes;
    limits[1] = user + system + LEAST_TIME;
    const budget = new Budget(request.maxBytes, (bytes) => limits[1]! += TIME_PER_BYTE * bytes);
    try {
      for await (const message of readFile(request, budget)) await send(message);
      await send({ kind: "done", fresh: process.memoryUsage.rss() < MOST_KEPT });
    } catch (error) {
      const message = describe(error);
      const isLimit = error instanceof DataLimitError;
      const code = error instanceof Error && "syscall" in error ? errorCode(error) : undefined;
      await send({ kind: "failed", message, isLimit, code });
    } finally {
      limits.fill(Infinity);
    }
  });
  process.send!("ready");
}

/** What an error says; JavaScript's own come from a library that has met what it doesn't expect. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error instanceof TypeError || error instanceof RangeError
    ? `it is damaged (${error.message})`
    : error.message;
}

function send(message: ReadMessage | ReadEnd): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send!(message, undefined, undefined, (error) => error ? reject(error) : resolve());
  });
}
