import { randomBytes } from "node:crypto";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { platform } from "node:os";
import { dirname } from "node:path";
import { errorCode } from "./error_code.ts";
import { describeCause } from "./describe_cause.ts";
import { WriteError } from "../errors.ts";

/**
 * Writes a file whole or not at all (Node only): into a temporary file of the same folder, flushed to the disk, then
 * renamed, and the folder is flushed too. A reader sees the old content or the new one; an interrupted or failed write leaves the old one.
 *
 * @throws {WriteError} naming the path, with the system's error as its cause, if the folder is missing or cannot be
 *   written, or the disk is full
 *
 * @example
 * ```ts no-run
 * await writeFileAtomic("runs/adapter.safetensors", encodeSafetensors(tensors));
 * ```
 */
export async function writeFileAtomic(
  path: string,
  bytes: Uint8Array | string,
  options: WriteFileOptions = {},
): Promise<void> {
  await writeStreamAtomic(
    path,
    (append) => append(typeof bytes === "string" ? encoder.encode(bytes) : bytes),
    options,
  );
}

/** Options of {@linkcode writeFileAtomic} and {@linkcode writeStreamAtomic}. */
export interface WriteFileOptions {
  /** Who may read and write the file: `0o600` for a secret. By default as the system has it for new files. */
  readonly mode?: number;
}

const encoder = new TextEncoder();

/** Most bytes of one call to the file system, whose own limit is 2 GiB. */
const CHUNK = 64 << 20;

/**
 * Writes a file whole or not at all, as {@linkcode writeFileAtomic} does, part by part, so that the whole never has to be in
 * memory (Node only).
 *
 * @param produce receives a function that appends bytes to the file; await each call.
 * @throws {WriteError} naming the path, with the system's error as its cause, if it cannot be written.
 * @throws what `produce` throws; the old content stays then.
 *
 * @example
 * ```ts no-run
 * await writeStreamAtomic("zeros.bin", async (append) => {
 *   for (let i = 0; i < 1000; i++) await append(new Uint8Array(1 << 20));
 * });
 * ```
 */
export async function writeStreamAtomic(
  path: string,
  produce: (append: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
  { mode }: WriteFileOptions = {},
): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  const writing = async <T>(step: () => Promise<T>): Promise<T> => {
    try {
      return await step();
    } catch (cause) {
      throw new WriteError(`Cannot write ${path} in folder ${dirname(path)}: ${describeCause(cause)}`, {
        cause,
      });
    }
  };
  const file = await writing(() => open(temporary, "wx", mode));
  try {
    try {
      await produce((bytes) =>
        writing(async () => {
          for (let start = 0; start < bytes.length; start += CHUNK) {
            await file.writeFile(bytes.subarray(start, start + CHUNK));
          }
        })
      );
      await writing(() => file.sync());
    } finally {
      await writing(() => file.close());
    }
    await writing(() => rename(temporary, path));
    await writing(() => syncFolder(dirname(path)));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
}

/** Flushes the names in a folder, where the system can: then a renamed file keeps its new name when the power fails. */
async function syncFolder(path: string): Promise<void> {
  if (platform() === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } catch (error) {
    // Some file systems flush no folders, and some folders may be written and not read.
    if (!["EINVAL", "ENOTSUP", "EACCES"].includes(errorCode(error) ?? "")) throw error;
  } finally {
    await folder.close();
  }
}

/**
 * Makes a folder and the folders above it, where they are missing (Node only). Unlike `mkdir` with `recursive`, which
 * never returns on a file system such as /proc, which refuses new folders by claiming that the path is missing.
 *
 * @throws {WriteError} naming the folder, with the system's error as its cause.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await make(path);
  } catch (cause) {
    throw new WriteError(`Cannot make folder ${path}: ${describeCause(cause)}`, { cause });
  }
}

async function make(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const code = errorCode(error);
    if (code === "EEXIST" && (await stat(path)).isDirectory()) return;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    await make(dirname(path));
    await mkdir(path).catch((second) => {
      // Another process may have made it in between.
      if (second.code !== "EEXIST") throw second;
    });
  }
}
