import { link, readFile, rm } from "node:fs/promises";
import { randomUUID } from "node:crypto";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { errorCode } from "../../../data/files/error_code.ts";
import { writeFileAtomic } from "../../../data/mod.ts";
import { NodeKeyError } from "../errors.ts";

/** Milliseconds after which who took over the lock of a dead process looks whether another one did so too. */
const TAKEOVER = 200;

const holder = z.object({
  token: z.string(),
  pid: z.int().positive(),
  /** When the process started, where the system says: another process may get its number later. */
  started: z.string().optional(),
  superlink: z.string().optional(),
  nodeId: z.string().regex(/^\d{1,20}$/).optional(),
  /** The process is a node no longer, and could not tell the server. */
  hasEnded: z.boolean().optional(),
});
type Holder = z.infer<typeof holder>;

/** Where a process was a node. */
export interface NodePlace {
  readonly superlink: string;
  readonly nodeId: bigint;
}

/**
 * Keeps two processes of a machine from being one node: a file beside the key's, which is gone after a clean end. What a
 * killed process leaves says as which node it was known.
 */
export class NodeLock {
  /** What the process that held the lock and died was; undefined after a clean end. */
  readonly previous: NodePlace | undefined;
  readonly keyFile: string;
  readonly #holder: Holder;
  #place: NodePlace | undefined;

  private constructor(keyFile: string, holder: Holder, previous: NodePlace | undefined) {
    this.keyFile = keyFile;
    this.#holder = holder;
    this.#place = previous;
    this.previous = previous;
  }

  /**
   * Takes the lock of a key.
   *
   * @throws {NodeKeyError} a live process has it.
   * @throws {WriteError} the folder cannot be written.
   */
  static async take(keyFile: string): Promise<NodeLock> {
    const path = lockOf(keyFile);
    const started = await startOf(process.pid);
    const own: Holder = { token: randomUUID(), pid: process.pid, ...(started !== undefined && { started }) };
    const inUse = ({ pid }: Holder) =>
      new NodeKeyError(
        `Cannot use the node key ${keyFile}: process ${pid} is a node with it; give each node of a machine a file of its own`,
      );
    if (await create(path, own)) return new NodeLock(keyFile, own, undefined);
    const other = await read(path);
    if (other !== undefined && await isAlive(other)) throw inUse(other);
    await rm(path, { force: true });
    if (!await create(path, own)) throw inUse(await read(path) ?? own);
    await delay(TAKEOVER);
    const last = await read(path);
    if (last?.token !== own.token) throw inUse(last ?? own);
    const place = other?.superlink !== undefined && other.nodeId !== undefined
      ? { superlink: other.superlink, nodeId: BigInt(other.nodeId) }
      : undefined;
    return new NodeLock(keyFile, own, place);
  }

  /** Notes as which node the process is known. */
  async note(place: NodePlace): Promise<void> {
    this.#place = place;
    await this.#write({});
  }

  /**
   * Ends the lock.
   *
   * @param isClean whether the server knows that the node has left; otherwise its next process has to tell it.
   */
  async release(isClean: boolean): Promise<void> {
    if (isClean || this.#place === undefined) await rm(lockOf(this.keyFile), { force: true });
    else await this.#write({ hasEnded: true });
  }

  async #write(more: Partial<Holder>): Promise<void> {
    const place = this.#place && { superlink: this.#place.superlink, nodeId: String(this.#place.nodeId) };
    await writeFileAtomic(lockOf(this.keyFile), JSON.stringify({ ...this.#holder, ...place, ...more }), {
      mode: 0o600,
    });
  }
}

function lockOf(keyFile: string): string {
  return `${keyFile}.lock`;
}

/** Makes the file whole, unless there is one. */
async function create(path: string, content: Holder): Promise<boolean> {
  const draft = `${path}.${content.token}`;
  await writeFileAtomic(draft, JSON.stringify(content), { mode: 0o600 });
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

async function read(path: string): Promise<Holder | undefined> {
  try {
    return holder.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    // It has just gone.
    if (errorCode(error) === "ENOENT") return undefined;
    throw new NodeKeyError(
      `Cannot read the lock ${path}: expected what a node has written; delete it if no node uses the key`,
      {
        cause: error,
      },
    );
  }
}

async function isAlive({ pid, started, hasEnded }: Holder): Promise<boolean> {
  if (hasEnded) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // A process of somebody else is alive too.
    return errorCode(error) !== "ESRCH";
  }
  return (await startOf(pid)) === started;
}

/** When a process started, in the ticks of Linux; undefined elsewhere. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, "utf8");
    // Behind the name, which may hold spaces and brackets, the 20th field.
    return text.slice(text.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
