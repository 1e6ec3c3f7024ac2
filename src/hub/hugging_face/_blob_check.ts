import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { isAbsence } from "../../data/files/absence.ts";

/**
 * The hash by which the hub knows a file's content: SHA-256 in hex if `like` has 64 digits, else SHA-1 of the git blob,
 * which is the word `blob`, the length and a zero byte before the content.
 */
export async function hubHash(path: string, like: string): Promise<string> {
  const hash = createHash(like.length === 64 ? "sha256" : "sha1");
  if (like.length !== 64) hash.update(`blob ${(await stat(path)).size}\0`);
  await pipeline(createReadStream(path, { highWaterMark: 2 ** 20 }), hash);
  return hash.digest("hex");
}

/** States of files whose bytes this process has checked, by path. */
const checked = new Map<string, string>();

/** Most files that are remembered; beyond that, files are read again. */
const MOST_CHECKED = 1000;

/**
 * Whether there is a file with the content that the hub knows by this hash. All its bytes are read, at a gigabyte a
 * second or so, once in a process: a file that has not been written to since is not read again.
 */
export async function hasHubHash(path: string, hash: string): Promise<boolean> {
  try {
    if (checked.get(path) === await stateOf(path, hash)) return true;
    if (await hubHash(path, hash) !== hash) return false;
    await noteChecked(path, hash);
    return true;
  } catch (error) {
    if (isAbsence(error)) return false;
    throw error;
  }
}

/** Notes that the content of a file was checked under another name. */
export async function noteChecked(path: string, hash: string): Promise<void> {
  if (checked.size >= MOST_CHECKED) checked.clear();
  checked.set(path, await stateOf(path, hash));
}

/** Changes whenever a file is written to or replaced: no program sets the time of the last change (`ctime`). */
async function stateOf(path: string, hash: string): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  return [hash, dev, ino, size, mtimeNs, ctimeNs].join(" ");
}
