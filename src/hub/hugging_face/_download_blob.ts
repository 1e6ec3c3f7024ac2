import { randomBytes } from "node:crypto";
import { type FileHandle, open, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorCode } from "../../data/files/error_code.ts";
import { CacheError, HubError } from "../errors.ts";
import { CorruptFileError } from "../../data/errors.ts";
import { makeFolder } from "../../data/files/write_file.ts";
import { hasHubHash, hubHash, noteChecked } from "./_blob_check.ts";
import type { FileInfo } from "./_file_headers.ts";
import { withFileLock } from "../file_lock.ts";
import type { HubClient } from "./_hub_client.ts";
import { longestFile } from "./_longest_file.ts";
import { PassingFailure } from "./retry.ts";

/** Which file of which commit. */
export interface BlobSource {
  readonly client: HubClient;
  readonly commit: string;
  readonly name: string;
  readonly info: FileInfo;
}

/** Options of {@linkcode downloadBlob}. */
export interface DownloadBlobOptions {
  readonly lockPath: string;
  readonly signal: AbortSignal | undefined;
  /** Told how many bytes are on the disk. */
  readonly onBytes: (bytes: number) => void;
}

/** Age at which what an interrupted download has left is given up. */
const STALE_MILLISECONDS = 7 * 24 * 60 * 60 * 1000;

/**
 * Brings a file's content to `path`, which it reaches by a rename once it is whole, checked and on the disk. Until then
 * it grows in a file of its own beside it, named by the process: an interrupted download leaves it, and the next one
 * takes it over by another rename and goes on where it ended. Python's downloads into the same cache use names of their
 * own, and end in the same rename of the same content.
 *
 * @throws {HubError} when the hub doesn't give the bytes.
 * @throws {CorruptFileError} when size or hash differ from what the hub promised; the bytes are removed.
 * @throws {CacheError} when the disk has no room.
 */
export async function downloadBlob(
  path: string,
  source: BlobSource,
  options: DownloadBlobOptions,
): Promise<void> {
  await makeFolder(dirname(path));
  await withFileLock(options.lockPath, async () => {
    // A blob whose content doesn't match its name was cut short or damaged, and is replaced. A link to a store that Python
    // shares between models counts as a blob.
    while (!await hasHubHash(path, source.info.etag)) {
      const part = await takePart(path);
      const resumed = (await sizeOf(part) ?? 0) > 0;
      await fill(part, source, options);
      const isRight = await check(part, source, resumed);
      if (isRight) await publish(part, path, source.info.etag);
    }
  }, { signal: options.signal });
}

/** What an earlier download of this content has left, or a new name. */
async function takePart(path: string): Promise<string> {
  const folder = dirname(path);
  const own = `${path}.federa-${randomBytes(4).toString("hex")}.incomplete`;
  const parts: { path: string; size: number }[] = [];
  for (const name of await readdir(folder)) {
    if (!/^[0-9a-f]+\.federa-[0-9a-f]{8}\.incomplete$/.test(name)) continue;
    const info = await stat(join(folder, name)).catch(undefinedIfGone);
    if (info === undefined) continue;
    if (Date.now() - info.mtimeMs > STALE_MILLISECONDS) await rm(join(folder, name), { force: true });
    else if (name.startsWith(`${basename(path)}.`)) parts.push({ path: join(folder, name), size: info.size });
  }
  const [longest, ...rest] = parts.sort((a, b) => b.size - a.size);
  for (const part of rest) await rm(part.path, { force: true });
  if (longest !== undefined) await rename(longest.path, own).catch(undefinedIfGone);
  return own;
}

/** Bytes that a download must gain to count as progress: a server may send one byte a minute for ever. */
const ADVANCE = 1024;

/** Appends to a part until it has all bytes. */
async function fill(part: string, source: BlobSource, options: DownloadBlobOptions): Promise<void> {
  const { client, commit, name, info: { size } } = source;
  const longest = size ?? longestFile(name);
  const file = await open(part, await sizeOf(part) === undefined ? "w" : "r+");
  let length = 0;
  try {
    length = (await file.stat()).size;
    if (length > longest) await file.truncate(length = 0);
    await checkRoom(part, size === undefined ? 0 : size - length);
    if (longest > longestFile(name)) throw tooLarge(source);
    options.onBytes(length);
    // Where a server begins anew, only what goes further is an advance.
    let furthest = length;
    // A part that was left after its last byte needs no request.
    if (size === undefined || length < size) {
      await client.retry((advanced) =>
        client.bytes({ commit, name, offset: length, size }, async ({ offset, chunks }) => {
          if (offset !== length) await file.truncate(length = offset);
          for await (const chunk of chunks) {
            if (length + chunk.byteLength > longest) throw tooLong(source);
            await writeAt(file, chunk, length);
            length += chunk.byteLength;
            if (length >= furthest + ADVANCE) {
              furthest = length;
              advanced();
            }
            options.onBytes(length);
          }
          if (size !== undefined && length < size) throw tooShort(source, length);
        })
      );
    }
    await file.sync();
  } catch (error) {
    if (length === 0 || error instanceof CorruptFileError) await rm(part, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

/** Whether the bytes are the promised ones. What an earlier process left may be at fault: then they are fetched anew. */
async function check(part: string, { info, name, client }: BlobSource, resumed: boolean): Promise<boolean> {
  const hash = await hubHash(part, info.etag);
  if (hash === info.etag) return true;
  const size = await sizeOf(part);
  await rm(part, { force: true });
  if (resumed) return false;
  throw new CorruptFileError(
    `${client.purpose(name)}: the bytes are not the promised ones, expected ${
      info.size ?? "?"
    } bytes with hash ${info.etag}, got ${size} with ${hash}`,
  );
}

/** Gives a checked part its name. Where another process took it over, that one finishes it. */
async function publish(part: string, path: string, hash: string): Promise<void> {
  try {
    await rename(part, path);
    await noteChecked(path, hash);
  } catch (error) {
    undefinedIfGone(error);
  }
}

async function checkRoom(path: string, bytes: number): Promise<void> {
  const { bavail, bsize, blocks } = await statfs(dirname(path));
  // A file system that doesn't count has no blocks.
  if (blocks === 0 || bytes <= bavail * bsize) return;
  throw new CacheError(
    `Cannot use the cache folder ${dirname(path)}: ${bytes} bytes are needed, ${bavail * bsize} are free; ` +
      "free some space, or set HF_HUB_CACHE to a folder with more",
  );
}

async function writeAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    done += (await file.write(bytes, done, bytes.byteLength - done, position + done)).bytesWritten;
  }
}

function tooLong({ client, name, info: { size } }: BlobSource): CorruptFileError {
  return new CorruptFileError(
    size === undefined
      ? `${client.purpose(name)}: the hub states no size, and more than the ${
        longestFile(name)
      } bytes that such a file may have arrive`
      : `${client.purpose(name)}: more bytes arrive than the ${size} that the hub promised`,
  );
}

function tooLarge({ client, name, info: { size } }: BlobSource): CorruptFileError {
  return new CorruptFileError(
    `${client.purpose(name)}: the hub states ${size} bytes, and such a file may have at most ${
      longestFile(name)
    }`,
  );
}

function tooShort({ client, name, info: { size } }: BlobSource, length: number): PassingFailure {
  return new PassingFailure(
    new HubError(
      `${
        client.purpose(name)
      }: the connection ended after ${length} of ${size} bytes; try again, the download goes on there`,
      "offline",
    ),
  );
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(undefinedIfGone))?.size;
}

function undefinedIfGone(error: unknown): undefined {
  if (errorCode(error) !== "ENOENT") throw error;
}
