import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../data/files.ts";
import type { LocalModelFiles } from "../../data/hub/model_files.ts";

/** Files that a tokenizer may be made of. */
const tokenizerFiles = [
  ..."tokenizer.json tokenizer_config.json special_tokens_map.json added_tokens.json".split(" "),
  ..."vocab.txt vocab.json merges.txt sentencepiece.bpe.model spiece.model spm.model bpe.codes".split(" "),
];

/** Copies the files of a model's tokenizer into a folder; gives their names. */
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
