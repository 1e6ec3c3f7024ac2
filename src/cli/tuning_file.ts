import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { cacheFolder, CorruptFileError, makeFolder, writeFileAtomic } from "../data/mod.ts";
import type { AdapterDescription, TunedTiles } from "../engine/mod.ts";
import { versions } from "./version.ts";

const side = z.number().int().positive().max(1024);

const schema = z.object({
  adapter: z.string(),
  federa: z.string(),
  tiles: z.record(
    z.string(),
    z.strictObject({ rows: side, columns: side, depth: side.optional() }),
  ),
});

/** Where the tiles are kept that were measured on an adapter: one file for each adapter and version of this program. */
export function tuningPath(adapter: AdapterDescription): string {
  const key = createHash("sha256").update(nameOf(adapter)).digest("hex").slice(0, 16);
  return join(cacheFolder(), "tuning", `${key}-${versions().federa}.json`);
}

/** Keeps tiles for later runs on the same adapter. */
export async function writeTuning(adapter: AdapterDescription, tiles: TunedTiles): Promise<string> {
  const path = tuningPath(adapter);
  await makeFolder(join(cacheFolder(), "tuning"));
  const content = { adapter: nameOf(adapter), federa: versions().federa, tiles: Object.fromEntries(tiles) };
  await writeFileAtomic(path, `${JSON.stringify(content, null, 2)}\n`);
  return path;
}

/**
 * The tiles that were measured on an adapter; none if it never was.
 *
 * @throws {CorruptFileError} when the file isn't what {@linkcode writeTuning} writes.
 */
export async function readTuning(adapter: AdapterDescription): Promise<TunedTiles> {
  const path = tuningPath(adapter);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return new Map();
  let content: z.infer<typeof schema>;
  try {
    content = schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new CorruptFileError(
      `Cannot read the tuning in ${path}: it isn't what federa tune writes; delete the file or tune again`,
      { cause },
    );
  }
  return new Map(
    Object.entries(content.tiles).map(([name, { depth, ...tile }]) =>
      [name, depth === undefined ? tile : { ...tile, depth }] as const
    ),
  );
}

function nameOf({ vendor, device, description }: AdapterDescription): string {
  return [vendor, device, description].join(" | ");
}
