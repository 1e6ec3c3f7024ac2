import type { ModelFiles } from "../../hub/files/model_files.ts";
import { excerpt } from "../../data/text/excerpt.ts";
import { readJsonObject } from "../../hub/files/read_json_object.ts";
import { readWeightIndex } from "./_weight_index.ts";
import type { StoredTensor } from "./dtype.ts";
import { CorruptFileError } from "../errors.ts";
import { SafetensorsFile } from "./safetensors_file.ts";
import { refuseOtherWeights } from "./_other_weights.ts";
import type { WeightEntry, WeightSource } from "./weight_source.ts";

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";

/**
 * Opens the weights of a model, `model.safetensors` or the shards that `model.safetensors.index.json` lists, to be
 * read one tensor at a time. The index is held against the shards: each has the tensors that the index
 * says, no more and no fewer.
 *
 * @throws {CorruptFileError} naming the file and what is wrong with it.
 * @throws {WeightsUnavailableError} if there are no weights, or none in the safetensors format; the
 *   message says how to convert them.
 *
 * @example
 * ```ts no-run
 * const weights = await openWeights(files);
 * const table = toFloat32(await weights.read("embeddings.word_embeddings.weight"));
 * await weights.close();
 * ```
 */
export async function openWeights(files: ModelFiles): Promise<WeightSource> {
  const single = await files.open(SINGLE);
  if (single !== undefined) return await SafetensorsFile.open(single);
  const json = await readJsonObject(files, INDEX);
  if (json === undefined) throw await refuseOtherWeights(files);
  const index = `${files.source}/${INDEX}`;
  const shards = readWeightIndex(index, json);
  const opened: SafetensorsFile[] = [];
  try {
    for (const [shard, names] of shards) {
      const found = await files.open(shard);
      if (found === undefined) {
        throw new CorruptFileError(
          `Cannot read ${index}: it names ${shard}, which ${files.source} doesn't have`,
        );
      }
      const file = await SafetensorsFile.open(found);
      opened.push(file);
      checkShard(index, file, names);
    }
  } catch (error) {
    for (const file of opened) await file.close();
    throw error;
  }
  return new ShardedWeights(index, opened);
}

function checkShard(index: string, file: SafetensorsFile, names: ReadonlySet<string>): void {
  for (const name of names) {
    if (!file.entries.has(name)) {
      throw new CorruptFileError(
        `Cannot read ${file.path}: it lacks tensor ${excerpt(name)}, which ${index} promises`,
      );
    }
  }
  for (const name of file.entries.keys()) {
    if (!names.has(name)) {
      throw new CorruptFileError(
        `Cannot read ${file.path}: it holds tensor ${excerpt(name)}, which ${index} doesn't place there`,
      );
    }
  }
}

/** The tensors of several files, each in one of them. */
class ShardedWeights implements WeightSource {
  readonly entries: ReadonlyMap<string, WeightEntry>;
  readonly #index: string;
  readonly #files: readonly SafetensorsFile[];
  readonly #fileOf: ReadonlyMap<string, SafetensorsFile>;

  constructor(index: string, files: readonly SafetensorsFile[]) {
    this.#index = index;
    this.#files = files;
    this.entries = new Map(files.flatMap((file) => [...file.entries]));
    this.#fileOf = new Map(files.flatMap((file) => [...file.entries.keys()].map((name) => [name, file])));
  }

  async read(name: string): Promise<StoredTensor> {
    const file = this.#fileOf.get(name);
    if (file === undefined) {
      throw new RangeError(`Cannot read tensor ${excerpt(name)}: ${this.#index} has none of that name`);
    }
    return await file.read(name);
  }

  async close(): Promise<void> {
    for (const file of this.#files) await file.close();
  }
}
