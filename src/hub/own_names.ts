import { createHash, randomBytes } from "node:crypto";
import { hostname } from "node:os";
import process from "node:process";
import { errorCode } from "../data/files/error_code.ts";

const OWN_NAME = /([0-9a-f]{8})-(\d+)-[0-9a-f]{8}/;

/** The names that this process is using. */
const inUse = new Set<string>();

/**
 * Gives a step a name for a temporary file or folder that nobody else uses: machine, process and a random number. A process
 * that finds what a dead one has left under its name may take it over by renaming it to a name of its own.
 */
export async function withOwnName<T>(step: (name: string) => Promise<T>): Promise<T> {
  const name = `${hostKey()}-${process.pid}-${randomBytes(4).toString("hex")}`;
  inUse.add(name);
  try {
    return await step(name);
  } finally {
    inUse.delete(name);
  }
}

/** When a temporary file was last written to, and after how long nobody counts as working on it. */
export interface AbandonedOptions {
  /** Milliseconds since 1970. */
  readonly modified: number;
  /** In milliseconds; what another machine's processes do can't be seen otherwise. */
  readonly patience: number;
}

/** Whether nobody works any more on a temporary file or folder whose name contains that of {@linkcode withOwnName}. */
export function isAbandoned(name: string, { modified, patience }: AbandonedOptions): boolean {
  if (Date.now() - modified > patience) return true;
  const [own, host, pid] = OWN_NAME.exec(name) ?? [];
  if (own === undefined || host !== hostKey()) return false;
  return Number(pid) === process.pid ? !inUse.has(own) : !isRunning(Number(pid));
}

/** This machine, in the names of its temporary files: a cache may be shared with others. */
function hostKey(): string {
  return createHash("sha256").update(hostname()).digest("hex").slice(0, 8);
}

function isRunning(pid: number): boolean {
  try {
    // Sends nothing: asks whether there is such a process.
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) !== "ESRCH";
  }
}
