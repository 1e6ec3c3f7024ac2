import { join } from "node:path";
import { writeFileAtomic } from "../../data/files/write_file.ts";
import type { LocalModelFiles, ModelFiles } from "../../hub/files/model_files.ts";
import { readModelFile } from "../../hub/files/read_model_file.ts";

/** Files that a tokenizer may be made of. */
const tokenizerFiles = [
  ..."tokenizer.json tokenizer_config.json special_tokens_map.json added_tokens.json".split(" "),
  ..."vocab.txt vocab.json merges.txt sentencepiece.bpe.model spiece.model spm.model bpe.codes".split(" "),
];

/**
 * The files of an adapter's base, but with the tokenizer of the adapter's folder if it has one: the adapter was trained with
 * that, and `AutoTokenizer` loads it.
 *
 * @example
 * ```ts no-run
 * const tokenizer = await loadTokenizer(await withTokenizerOf(base, adapterFiles));
 * ```
 */
export async function withTokenizerOf(
  base: LocalModelFiles,
  adapter: LocalModelFiles,
): Promise<LocalModelFiles> {
  if (!await adapter.has("tokenizer.json") && !await adapter.has("vocab.txt")) return base;
  const holder = (name: string) => tokenizerFiles.includes(name) ? adapter : base;
  return {
    source: base.source,
    has: (name) => holder(name).has(name),
    open: (name) => holder(name).open(name),
    path: (name) => holder(name).path(name),
  };
}

/** The longest file of a tokenizer that is read. */
const maxBytes = 1 << 27;

/** The files of a model's tokenizer, by their names. */
export async function readTokenizer(files: ModelFiles): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const found = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const name of tokenizerFiles) {
    const file = await readModelFile(files, name, { maxBytes });
    if (file !== undefined) found.set(name, file.bytes);
  }
  return found;
}

/** Copies the files of a model's tokenizer into a folder, and returns their names. */
export async function copyTokenizer(files: LocalModelFiles, folder: string): Promise<string[]> {
  const found = await readTokenizer(files);
  for (const [name, bytes] of found) {
    if (await files.path(name) !== join(folder, name)) await writeFileAtomic(join(folder, name), bytes);
  }
  return [...found.keys()];
}
