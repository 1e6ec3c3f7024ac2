import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { cacheFolder } from "../../hub/mod.ts";
import { CorruptFileError, makeFolder, writeFileAtomic } from "../../data/mod.ts";
import { excerpt } from "../../data/text/excerpt.ts";
import {
  type AdapterDescription,
  isTile,
  type MatmulTile,
  tileName,
  type TunedTiles,
} from "../../engine/mod.ts";
import { versions } from "../run/versions.ts";

/** The largest tuning file that is read, in bytes. */
const maxBytes = 1 << 20;

const side = z.number().int().positive().max(1024);

const schema = z.object({
  adapter: z.string(),
  federa: z.string(),
  tiles: z.record(
    z.string(),
    z.strictObject({
      rows: side,
      columns: side,
      depth: side.optional(),
      width: z.literal(4).optional(),
      slices: z.literal(2).optional(),
    }),
  ),
});

/** The path of the tiles that were measured on an adapter; each adapter and version of this program has its own file. */
export function tuningPath(adapter: AdapterDescription): string {
  const key = createHash("sha256").update(nameOf(adapter)).digest("hex").slice(0, 16);
  return join(cacheFolder(), "tuning", `${key}-${versions().federa}.json`);
}

/** Writes tiles for later runs on the same adapter. */
export async function writeTuning(adapter: AdapterDescription, tiles: TunedTiles): Promise<string> {
  const path = tuningPath(adapter);
  await makeFolder(join(cacheFolder(), "tuning"));
  const content = { adapter: nameOf(adapter), federa: versions().federa, tiles: Object.fromEntries(tiles) };
  await writeFileAtomic(path, `${JSON.stringify(content, null, 2)}\n`);
  return path;
}

/**
 * Reads the tiles that were measured on an adapter; none if none were measured.
 *
 * @throws {CorruptFileError} when the file can't be read, or isn't what {@linkcode writeTuning} writes for the adapter.
 */
export async function readTuning(adapter: AdapterDescription): Promise<TunedTiles> {
  const path = tuningPath(adapter);
  const refuse = (reason: string, cause?: unknown) =>
    new CorruptFileError(
      `Cannot read the tuning in ${path}: ${reason}; delete the file or tune again`,
      cause === undefined ? undefined : { cause },
    );
  const text = await readSmallFile(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return undefined;
    throw refuse(cause.message, cause);
  });
  if (text === undefined) return new Map();
  let content: z.infer<typeof schema>;
  try {
    content = schema.parse(JSON.parse(text));
  } catch (cause) {
    throw refuse("it isn't what federa tune writes", cause);
  }
  if (content.adapter !== nameOf(adapter)) throw refuse("it was measured on another adapter");
  const tiles = Object.entries(content.tiles as Record<string, MatmulTile>);
  for (const [name, tile] of tiles) {
    if (!isTile(tile)) {
      throw refuse(`no kernel supports the tile ${tileName(tile)} for ${excerpt(name)}`);
    }
  }
  return new Map(tiles);
}

async function readSmallFile(path: string): Promise<string> {
  const info = await stat(path);
  if (!info.isFile()) throw new Error("it is not a file");
  if (info.size > maxBytes) throw new Error(`it has ${info.size} bytes, more than ${maxBytes}`);
  return await readFile(path, "utf8");
}

function nameOf({ vendor, device, description }: AdapterDescription): string {
  return [vendor, device, description].join(" | ");
}
