import { type FileHandle, open, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorCode } from "../../data/files/error_code.ts";
import { CacheError, HubError } from "../errors.ts";
import { CorruptFileError } from "../../data/errors.ts";
import { makeFolder } from "../../data/files/write_file.ts";
import { hasHubHash, hubHash, noteChecked } from "./_blob_check.ts";
import type { FileInfo } from "./_file_headers.ts";
import { isAbandoned, withOwnName } from "../own_names.ts";
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

/** Milliseconds without a byte after which a download of another machine counts as abandoned. */
const PATIENCE = 10 * 60 * 1000;
/** Age at which an interrupted download of other content is removed. */
const STALE = 7 * 24 * 60 * 60 * 1000;

/**
 * Downloads a file's content to `path`, which it reaches by a rename once it is complete, checked and on the disk. Until then
 * it grows in a file beside it that is this process's own. An interrupted download leaves that file, and the next process that asks for
 * the content takes it over by a rename and goes on where it ended. There is no lock: processes that ask at the same time may
 * each download the content, and the last rename replaces it by the same bytes. Python's downloads into the same cache do the
 * same under names of their own.
 *
 * @param onBytes called with the number of bytes on the disk so far.
 * @throws {HubError} when the hub doesn't give the bytes.
 * @throws {CorruptFileError} when size or hash differ from what the hub promised; the bytes are removed.
 * @throws {CacheError} when the disk has no room.
 */
export async function downloadBlob(
  path: string,
  source: BlobSource,
  onBytes: (bytes: number) => void,
): Promise<void> {
  await makeFolder(dirname(path));
  // A blob whose content doesn't match its name was cut short or damaged, and is replaced. A link to a store that Python
  // shares between models counts as a blob.
  while (!await hasHubHash(path, source.info.etag)) {
    await withOwnName(async (name) => {
      const part = `${path}.federa-${name}.incomplete`;
      await adoptPart(path, part);
      const resumed = (await sizeOf(part) ?? 0) > 0;
      await fill(part, source, onBytes);
      if (await check(part, source, resumed)) await publish(part, path, source.info.etag);
    });
  }
}

/** Gives the longest abandoned download of this content a name of our own, and removes the other ones. */
async function adoptPart(path: string, own: string): Promise<void> {
  const folder = dirname(path);
  const parts: { path: string; size: number }[] = [];
  for (const name of await readdir(folder)) {
    if (!/^[0-9a-f]+\.federa-[0-9a-f-]+\.incomplete$/.test(name)) continue;
    const info = await stat(join(folder, name)).catch(undefinedIfGone);
    const isSame = name.startsWith(`${basename(path)}.`);
    if (!info || !isAbandoned(name, { modified: info.mtimeMs, patience: isSame ? PATIENCE : STALE })) {
      continue;
    }
    if (isSame) parts.push({ path: join(folder, name), size: info.size });
    else if (Date.now() - info.mtimeMs > STALE) await rm(join(folder, name), { force: true });
  }
  let isAdopted = false;
  for (const part of parts.sort((a, b) => b.size - a.size)) {
    if (isAdopted) await rm(part.path, { force: true });
    // Of several processes that rename the same file, one succeeds.
    else {isAdopted = await rename(part.path, own).then(() =>
        true, (error) =>
        undefinedIfGone(error) ?? false);}
  }
}

/** Bytes that a download must gain to count as progress: a server may send one byte a minute for ever. */
const ADVANCE = 1024;

/** Appends to a part until it has all bytes. */
async function fill(part: string, source: BlobSource, onBytes: (bytes: number) => void): Promise<void> {
  const { client, commit, name, info: { size } } = source;
  const longest = size ?? longestFile(name);
  const file = await open(part, await sizeOf(part) === undefined ? "w" : "r+");
  let length = 0;
  try {
    length = (await file.stat()).size;
    if (length > longest) await file.truncate(length = 0);
    await checkRoom(part, size === undefined ? 0 : size - length);
    if (longest > longestFile(name)) throw tooLarge(source);
    onBytes(length);
    // If a server starts over, only bytes beyond the furthest so far count as progress.
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
            onBytes(length);
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

/** Whether the bytes match the hub's hash. If not, the part of an earlier process may be damaged: then they are fetched again. */
async function check(part: string, { info, name, client }: BlobSource, resumed: boolean): Promise<boolean> {
  const hash = await hubHash(part, info.etag);
  if (hash === info.etag) return true;
  const size = await sizeOf(part);
  await rm(part, { force: true });
  if (resumed) return false;
  throw new CorruptFileError(
    `${client.purpose(name)}: the bytes don't match the hub's hash, expected ${
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
    // Windows doesn't replace a file that is open: then another process has put the same content there.
    if (errorCode(error) !== "ENOENT" && !await hasHubHash(path, hash)) throw error;
    await rm(part, { force: true });
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
