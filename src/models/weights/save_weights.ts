import { mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../data/files/write_file.ts";
import { byteLengthOf } from "./_safetensors_layout.ts";
import type { WeightEntry } from "./weight_source.ts";
import { type TensorProducer, writeSafetensors, type WriteSafetensorsOptions } from "./write_safetensors.ts";

/** Options of {@linkcode saveWeights}. */
export interface SaveWeightsOptions extends WriteSafetensorsOptions {
  /** Most bytes of tensor data in one file; a tensor larger than that has a file of its own. 5 GB by default. */
  readonly maxShardSize?: number;
}

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const WEIGHTS = /^model(-\d{5,}-of-\d{5,})?\.safetensors$|^model\.safetensors\.index\.json$/;

/**
 * Writes the weights of a model into a folder, as `model.safetensors` or, beyond a size, as shards with
 * `model.safetensors.index.json`, one tensor at a time (Node only). Nothing appears in the folder before all is
 * written; what it had of the same kind is then replaced.
 *
 * @returns the names of the files.
 * @throws {RangeError} if the size isn't positive.
 * @throws as {@linkcode writeSafetensors}; the folder is left as it was then.
 *
 * @example
 * ```ts no-run
 * await saveWeights("merged", weights, { metadata: { format: "pt" }, maxShardSize: 1e9 });
 * ```
 */
export async function saveWeights(
  folder: string,
  source: TensorProducer,
  options: SaveWeightsOptions = {},
): Promise<string[]> {
  const { maxShardSize = 5e9, onProgress } = options;
  if (!(maxShardSize > 0)) {
    throw new RangeError(`Cannot write weights: maxShardSize must be positive, got ${maxShardSize}`);
  }
  const shards = parted(source.entries, maxShardSize);
  const total = shards.reduce((sum, { size }) => sum + size, 0);
  const draft = await mkdtemp(join(folder, ".weights-"));
  try {
    const names: string[] = [];
    const weightMap: [string, string][] = [];
    let done = 0;
    for (const [i, { entries, size }] of shards.entries()) {
      const name = shards.length === 1
        ? SINGLE
        : `model-${five(i + 1)}-of-${five(shards.length)}.safetensors`;
      const part = { entries, read: (tensor: string) => source.read(tensor) };
      await writeSafetensors(join(draft, name), part, {
        ...options,
        ...(onProgress && { onProgress: (bytes) => onProgress(done + bytes, total) }),
      });
      done += size;
      names.push(name);
      for (const tensor of entries.keys()) weightMap.push([tensor, name]);
    }
    if (shards.length > 1) {
      await writeFileAtomic(join(draft, INDEX), encodeIndex(weightMap, total));
      names.push(INDEX);
    }
    // The index last: what it names is there.
    for (const name of names) await rename(join(draft, name), join(folder, name));
    await removeOthers(folder, names);
    return names;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

interface Shard {
  readonly entries: Map<string, WeightEntry>;
  size: number;
}

/** The tensors in their order, in as few files as their order allows. */
function parted(entries: ReadonlyMap<string, WeightEntry>, maxShardSize: number): Shard[] {
  const shards: Shard[] = [{ entries: new Map(), size: 0 }];
  for (const [name, entry] of entries) {
    const size = byteLengthOf(name, entry);
    let shard = shards.at(-1)!;
    if (shard.entries.size > 0 && shard.size + size > maxShardSize) {
      shards.push(shard = { entries: new Map(), size: 0 });
    }
    shard.entries.set(name, entry);
    shard.size += size;
  }
  return shards;
}

/** Text, not an object: an object would move names that look like integers to its front. */
function encodeIndex(weightMap: readonly [string, string][], totalSize: number): string {
  const sorted = [...weightMap].sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = sorted.map((pair) => `    ${pair.map((text) => JSON.stringify(text)).join(": ")}`);
  return `{\n  "metadata": {\n    "total_size": ${totalSize}\n  },\n  "weight_map": {\n${
    lines.join(",\n")
  }\n  }\n}\n`;
}

/** Removes earlier weights, which would otherwise be taken for the model's, or for nothing. */
async function removeOthers(folder: string, names: readonly string[]): Promise<void> {
  for (const name of await readdir(folder)) {
    if (WEIGHTS.test(name) && !names.includes(name)) await rm(join(folder, name));
  }
}

function five(n: number): string {
  return String(n).padStart(5, "0");
}
