import { excerpt } from "../../data/text/excerpt.ts";
import { isObject } from "../../data/rows/json/is_object.ts";
import { CorruptFileError } from "../errors.ts";

/** The most shards that an index may name. */
const MAX_SHARDS = 1000;

/**
 * Which tensors each shard holds, as an index such as `model.safetensors.index.json` says.
 *
 * @param path of the index, for messages.
 * @throws {CorruptFileError} naming what is wrong with it.
 */
export function readWeightIndex(
  path: string,
  { weight_map: weightMap }: Readonly<Record<string, unknown>>,
): Map<string, Set<string>> {
  const corrupt = (what: string) => new CorruptFileError(`Cannot read ${path}: ${what}`);
  if (!isObject(weightMap)) {
    throw corrupt(`weight_map must name the file of each tensor, got ${excerpt(weightMap)}`);
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
