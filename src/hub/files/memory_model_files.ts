import { checkFileName } from "./file_name.ts";
import { openBlob } from "./model_file.ts";
import type { ModelFiles } from "./model_files.ts";

/** Options of {@linkcode memoryModelFiles}. */
export interface MemoryModelFilesOptions {
  /** Where the files come from, for messages and records; `memory` by default. */
  readonly source?: string | undefined;
}

/**
 * The files of a model whose content the program already has: bytes, text, or a `Blob` as `fetch()` and file pickers of
 * web pages give. A `Blob` is read in parts, so that a page needn't hold a large file in memory.
 *
 * @param contents by name, such as `config.json`, `model.safetensors` and `tokenizer.json`.
 * @throws {HubError} when a name can't be one of a file in the model's folder.
 * @example
 * ```ts no-run
 * const fetched = async (name: string) => [name, await (await fetch(`/minilm/${name}`)).blob()] as const;
 * const names = ["config.json", "model.safetensors", "tokenizer.json"];
 * const files = memoryModelFiles(Object.fromEntries(await Promise.all(names.map(fetched))));
 * const { encoder } = await openPretrained(gpu, files);
 * ```
 */
export function memoryModelFiles(
  contents: Readonly<Record<string, Blob | BufferSource | string>>,
  options: MemoryModelFilesOptions = {},
): ModelFiles {
  const { source = "memory" } = options;
  const blobs = new Map<string, Blob>();
  for (const [name, content] of Object.entries(contents)) {
    checkFileName(name);
    blobs.set(name, content instanceof Blob ? content : new Blob([content]));
  }
  return {
    source,
    has: async (name) => blobs.has(name),
    open: async (name) => {
      const blob = blobs.get(name);
      return blob && openBlob(`${source}/${name}`, blob);
    },
  };
}
