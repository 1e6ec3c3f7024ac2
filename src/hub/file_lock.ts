import { randomBytes } from "node:crypto";
import { readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import process from "node:process";
import { errorCode } from "../data/files/error_code.ts";
import { makeFolder } from "../data/files/write_file.ts";
import { sleep } from "./hugging_face/retry.ts";

/** Options of {@linkcode withFileLock}. */
export interface FileLockOptions {
  /** Ends the wait for another process. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds between two looks at another's lock. */
  readonly interval?: number;
  /** Looks without a sign of life after which the holder counts as dead. */
  readonly patience?: number;
}

const INTERVAL = 250;
const PATIENCE = 80;

/**
 * Runs a step while no other process runs one under the same lock file. The holder renews the file's time; a lock is
 * taken over when its process is gone from this machine, or when nobody has renewed it for 20 s (on another machine;
 * looks are counted, not seconds, as a machine may sleep).
 *
 * It saves double work and cannot be the ground of correctness: Node has no `flock`, and a holder that was stopped for
 * long wakes up beside its successor.
 */
export async function withFileLock<T>(
  path: string,
  step: () => Promise<T>,
  options: FileLockOptions = {},
): Promise<T> {
  const { interval = INTERVAL, patience = PATIENCE } = options;
  const mark = `${hostname()} ${process.pid} ${randomBytes(8).toString("hex")}`;
  await makeFolder(dirname(path));
  await acquire(path, mark, { ...options, interval, patience });
  const beat = setInterval(() => {
    const now = new Date();
    // A lock that was taken over is renewed for the other, or gone.
    utimes(path, now, now).catch(() => {});
  }, interval * patience / 10);
  try {
    return await step();
  } finally {
    clearInterval(beat);
    if (await readLock(path) === mark) await rm(path, { force: true });
  }
}

async function acquire(
  path: string,
  mark: string,
  { signal, interval, patience }: Required<Omit<FileLockOptions, "signal">> & FileLockOptions,
): Promise<void> {
  let seen = "";
  let looks = 0;
  while (!await create(path, mark)) {
    const holder = await readLock(path);
    const sign = `${holder} ${await modifiedAt(path)}`;
    looks = sign === seen ? looks + 1 : 0;
    seen = sign;
    if (looks >= patience || isDead(holder)) {
      await remove(path);
      looks = 0;
    } else {
      await sleep(interval, signal);
    }
  }
}

async function create(path: string, mark: string): Promise<boolean> {
  try {
    await writeFile(path, mark, { flag: "wx" });
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    // A full disk takes the file and not what is in it.
    await rm(path, { force: true });
    throw error;
  }
}

/** Of several processes that remove the same file by a rename, one succeeds. */
async function remove(path: string): Promise<void> {
  const aside = `${path}.${randomBytes(4).toString("hex")}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return;
    throw error;
  }
  await rm(aside, { force: true });
}

/** Whether the holder ran on this machine and runs no more. */
function isDead(holder: string): boolean {
  const [host, pid] = holder.split(" ");
  if (host !== hostname() || !/^\d+$/.test(pid ?? "")) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return errorCode(error) === "ESRCH";
  }
}

/** What a lock file says; empty if it is gone, or its holder has not written yet. */
async function readLock(path: string): Promise<string> {
  return await readFile(path, "utf8").catch(ifGone(""));
}

async function modifiedAt(path: string): Promise<number> {
  return await stat(path).then((info) => info.mtimeMs, ifGone(0));
}

function ifGone<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (errorCode(error) === "ENOENT") return value;
    throw error;
  };
}
