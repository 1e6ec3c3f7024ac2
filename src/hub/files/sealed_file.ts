import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { errorCode } from "../../data/files/error_code.ts";
import { writeFileAtomic } from "../../data/files/write_file.ts";

/**
 * Reads what {@linkcode writeSealed} wrote (Node only); undefined if there is no such file, it was made from another source,
 * or its content was changed.
 *
 * @param source what the text was made from and how, such as the checksum of a download and the version of a parser.
 * @throws the file system's error if it cannot be read.
 */
export async function readSealed(path: string, source: string): Promise<string | undefined> {
  const content = await readFile(path, "utf8").catch((error) => {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "EISDIR") return "";
    throw error;
  });
  const end = content.indexOf("\n");
  const text = content.slice(end + 1);
  return end >= 0 && content.slice(0, end) === sealOf(text, source) ? text : undefined;
}

/**
 * Writes a text that was derived from a source, after a line with a checksum of both (Node only).
 *
 * @throws {Error} as {@linkcode writeFileAtomic}.
 */
export async function writeSealed(path: string, source: string, text: string): Promise<void> {
  await writeFileAtomic(path, `${sealOf(text, source)}\n${text}`);
}

function sealOf(text: string, source: string): string {
  const digest = createHash("sha512").update(`${source.length} ${source}\n`).update(text).digest("base64");
  return JSON.stringify({ seal: `sha512-${digest}` });
}
