import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../data/files/write_file.ts";
import type { LocalModelFiles } from "../../hub/files/model_files.ts";

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

/** Copies the files of a model's tokenizer into a folder, and returns their names. */
export async function copyTokenizer(files: LocalModelFiles, folder: string): Promise<string[]> {
  const copied: string[] = [];
  for (const name of tokenizerFiles) {
    const path = await files.path(name);
    if (path === undefined || path === join(folder, name)) continue;
    await writeFileAtomic(join(folder, name), await readFile(path));
    copied.push(name);
  }
  return copied;
}
