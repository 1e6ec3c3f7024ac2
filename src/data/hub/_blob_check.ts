import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";

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
