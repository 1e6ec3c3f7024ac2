import { readFile, stat } from "node:fs/promises";
import { excerpt } from "../data/excerpt.ts";
import { CorruptFileError } from "./errors.ts";

/** The longest index that is read, in bytes, and the most shards that it may name. */
const MAX_LENGTH = 64 << 20;
const MAX_SHARDS = 1000;

/**
 * Which tensors each shard holds, as an index such as `model.safetensors.index.json` says.
 *
 * @throws {CorruptFileError} naming what is wrong with it.
 */
export async function readWeightIndex(path: string): Promise<Map<string, Set<string>>> {
  const corrupt = (what: string, options?: ErrorOptions) =>
    new CorruptFileError(`Cannot read ${path}: ${what}`, options);
  const { size } = await stat(path);
  if (size > MAX_LENGTH) throw corrupt(`it may take ${MAX_LENGTH} bytes, got ${size}`);
  const bytes = await readFile(path);
  let index: unknown;
  try {
    index = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw corrupt("it is not JSON in UTF-8", { cause });
  }
  if (!isObject(index)) throw corrupt(`it must be a JSON object, got ${excerpt(index)}`);
  const { weight_map: weightMap } = index;
  if (!isObject(weightMap)) {
    throw corrupt(`weight_map must tell the file of each tensor, got ${excerpt(weightMap)}`);
  }
  const shards = new Map<string, Set<string>>();
  for (const [name, shard] of Object.entries(weightMap)) {
    // A plain name: a file elsewhere is none of the model's.
    if (typeof shard !== "string" || !/^[\w-][\w.-]*\.safetensors$/.test(shard)) {
      throw corrupt(
        `tensor ${excerpt(name)} must be in a .safetensors file of the same folder, got ${excerpt(shard)}`,
      );
    }
    const names = shards.get(shard);
    if (names) names.add(name);
    else shards.set(shard, new Set([name]));
  }
  if (shards.size === 0) throw corrupt("weight_map names no tensor");
  if (shards.size > MAX_SHARDS) {
    throw corrupt(`weight_map may name ${MAX_SHARDS} files, got ${shards.size}`);
  }
  return shards;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
