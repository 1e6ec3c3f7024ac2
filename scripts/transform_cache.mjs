import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("../node_modules/.cache/federa", import.meta.url));
const { version } = createRequire(import.meta.url)("esbuild/package.json");

const OPTIONS = { loader: "ts", target: "es2024", sourcemap: "inline" };

/**
 * The JavaScript of a TypeScript file. Making it is half of what a short process costs, so it is kept: one file for each source, which
 * ends with the hash of what it was made of.
 *
 * @param folder where it is kept.
 */
export async function transformed(sourcefile, folder = FOLDER) {
  const text = readFileSync(sourcefile, "utf8");
  const key = hash(JSON.stringify([version, OPTIONS, sourcefile, text]));
  const path = join(folder, `${hash(sourcefile)}.js`);
  const kept = read(path);
  if (kept?.endsWith(key)) return kept;
  const { transform } = await import("esbuild");
  const { code } = await transform(text, { ...OPTIONS, sourcefile });
  const content = `${code}// ${key}`;
  keep(path, content);
  return content;
}

function hash(text) {
  return createHash("sha256").update(text).digest("hex");
}

function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    return undefined;
  }
}

/** Whole or not at all, as other processes read and write here too. */
function keep(path, content) {
  const draft = `${path}.${randomUUID()}`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(draft, content);
    renameSync(draft, path);
  } catch (error) {
    // Where packages are read-only, or the disk is full, everything just starts slower.
    if (!["EACCES", "EPERM", "EROFS", "ENOSPC"].includes(error.code)) throw error;
  }
}
